//! Makes the JavaScript of a compiled crate: `bindgen <web|worker> <file.wasm> <folder> <name>`.
use std::{env::args, process::exit};
use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut bindgen = Bindgen::new();
    let (target, wasm, folder, name) = match arguments[..] {
        ["--version"] => return println!("bindgen {}", env!("CARGO_PKG_VERSION")),
        ["web", wasm, folder, name] => (bindgen.web(true), wasm, folder, name),
        ["worker", wasm, folder, name] => {
            // A Worker that has panicked starts over (worker-shim.template).
            bindgen.reset_state_function(true).force_enable_abort_handler(true);
            (bindgen.module(true), wasm, folder, name)
        }
        _ => {
            eprintln!("usage: bindgen <web|worker> <file.wasm> <folder> <name>");
            exit(2);
        }
    };
    let made =
        target.and_then(|bindgen| bindgen.input_path(wasm).out_name(name).typescript(false).generate(folder));
    if let Err(error) = made {
        eprintln!("{error:?}");
        exit(1);
    }
}

//! Makes the JavaScript of a compiled crate: `bindgen <web|worker> <file.wasm> <folder> <name>`. A crate for the web is cut at
//! its `#[wasm_split]` functions first: beside the program stand the parts that it loads when it needs them.
use std::{
    env::args,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::exit,
};
use wasm_bindgen_cli_support::Bindgen;
use wasm_split_cli_support::{Options, transform};

fn main() {
    let arguments: Vec<String> = args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made = match arguments[..] {
        ["--version"] => return println!("bindgen {}", env!("CARGO_PKG_VERSION")),
        ["web", wasm, folder, name] => web(wasm, Path::new(folder), name),
        ["worker", wasm, folder, name] => worker(wasm, folder, name),
        _ => {
            eprintln!("usage: bindgen <web|worker> <file.wasm> <folder> <name>");
            exit(2);
        }
    };
    if let Err(error) = made {
        eprintln!("{error:?}");
        exit(1);
    }
}

fn web(wasm: &str, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let main = split(wasm, folder, name)?;
    let mut bindgen = Bindgen::new();
    // The parts are linked against the program by its exports.
    bindgen
        .web(true)?
        .keep_lld_exports(true)
        .typescript(false)
        .out_name(name)
        .input_path(&main)
        .generate(folder)?;
    Ok(fs::remove_file(main)?)
}

/// Writes the parts, and returns the file of the rest, which wasm-bindgen makes the program of.
fn split(wasm: &str, folder: &Path, name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let (input, main, script) = (fs::read(wasm)?, folder.join("main.wasm"), format!("./{name}.js"));
    let mut options = Options::new(&input);
    options.output_dir = folder;
    options.main_out_path = &main;
    options.main_module = &script;
    transform(options)?;
    Ok(main)
}

fn worker(wasm: &str, folder: &str, name: &str) -> Result<(), Box<dyn Error>> {
    let mut bindgen = Bindgen::new();
    // A Worker that has panicked starts over (worker-shim.template).
    bindgen.reset_state_function(true).force_enable_abort_handler(true);
    Ok(bindgen.module(true)?.typescript(false).out_name(name).input_path(wasm).generate(folder)?)
}

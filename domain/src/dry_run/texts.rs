//! Texts by number, each kept once.

use std::collections::HashMap;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(super) struct Texts {
    numbers: HashMap<Rc<str>, u32>,
    by_number: Vec<Rc<str>>,
    bytes: usize,
}

impl Texts {
    /// Returns the number of a text, a new one if it is not known yet.
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.by_number.len()).unwrap_or(u32::MAX);
        let text: Rc<str> = text.into();
        self.bytes += text.len();
        self.by_number.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    /// Returns the text of a number.
    pub(super) fn get(&self, number: u32) -> &str {
        self.by_number.get(number as usize).map_or("", |text| text)
    }

    /// Returns the number of texts.
    pub(super) fn count(&self) -> usize {
        self.by_number.len()
    }

    /// Returns the length of all texts.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

//! Lines of `name=value`, in blocks.

use std::collections::HashMap;
use std::str::FromStr;

use crate::EngineError;
use crate::reader::{malformed, printable};

/// The lines of a header or a tree.
#[derive(Debug, Default)]
pub(super) struct Block<'t>(HashMap<&'t str, &'t str>);

/// The header and the trees of a model.
pub(super) fn blocks(text: &str) -> Result<(Block<'_>, Vec<Block<'_>>), EngineError> {
    let mut header = Block::default();
    let mut trees: Vec<Block<'_>> = Vec::new();
    for line in text.lines() {
        let line = line.trim_end();
        if line == "end of trees" {
            return Ok((header, trees));
        }
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if name == "Tree" {
            if value.parse() != Ok(trees.len()) {
                return Err(malformed(format!(
                    "tree {} is not where it should be",
                    trees.len()
                )));
            }
            trees.push(Block::default());
        } else if !name.is_empty() {
            trees
                .last_mut()
                .unwrap_or(&mut header)
                .0
                .insert(name, value);
        }
    }
    Err(malformed("its trees have no end"))
}

impl<'t> Block<'t> {
    /// Whether there is a line called `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The value of `name`.
    pub(super) fn text(&self, name: &str) -> Option<&'t str> {
        self.0.get(name).copied()
    }

    /// The count that `name` is.
    pub(super) fn size(&self, name: &str) -> Result<usize, EngineError> {
        let size = self.text(name).and_then(|value| value.parse().ok());
        size.ok_or_else(|| wrong(name))
    }

    /// The numbers of `name`, of which there are `count`.
    pub(super) fn numbers<T: FromStr>(
        &self,
        name: &str,
        count: usize,
    ) -> Result<Vec<T>, EngineError> {
        let text = self.text(name).ok_or_else(|| wrong(name))?;
        let numbers: Result<Vec<T>, _> = text.split_ascii_whitespace().map(str::parse).collect();
        let numbers = numbers.ok().filter(|numbers| numbers.len() == count);
        numbers.ok_or_else(|| wrong(name))
    }
}

fn wrong(name: &str) -> EngineError {
    malformed(format!(
        "{} of a tree is not what it should be",
        printable(name)
    ))
}

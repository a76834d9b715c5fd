//! `PATH.hash` and `hash('glob')`: replaced, textually, by the digests that they mean.
//!
//! A path may hold dots, slashes and dashes, which mean something else to expressions, so that
//! this is done before they are parsed. Of several readings the longest path of a file that there
//! is wins; where there is none, and it is no name of an expression either, the file is missing.

use maestro_schemas::digest::Digest;
use maestro_schemas::plan::Unresolved;

use super::resolve::{ROOTS, Spot, unresolved};
use super::workspace::Selection;
use crate::expression::name::names;
use crate::pipeline::{Code, Fault};
use crate::plan::sources::{Sources, join};

/// The files that expressions of one pipeline name.
pub struct Hashes<'a> {
    /// The files.
    pub sources: Sources<'a>,
    /// The pipeline's directory.
    pub directory: &'a str,
}

impl Hashes<'_> {
    /// Puts digests in the place of `PATH.hash` and `hash('glob')`.
    pub fn put(
        &self,
        spot: Spot<'_>,
        expression: &str,
        missing: &mut Vec<Unresolved>,
    ) -> Result<String, Fault> {
        let text = self.globs(spot, expression)?;
        let mut rewritten = String::new();
        let mut rest = text.as_str();
        while let Some(end) = find_hash(rest) {
            let (before, after) = rest.split_at(end);
            match self.file(before) {
                Some((from, Ok(digest))) => {
                    rewritten.push_str(before.get(..from).unwrap_or_default());
                    rewritten.push_str(&format!("'{}'", digest.to_hex()));
                }
                Some((from, Err(path))) => {
                    rewritten.push_str(before.get(..from).unwrap_or_default());
                    rewritten.push_str("''");
                    missing.push(unresolved(spot, "file", &path));
                }
                None => {
                    rewritten.push_str(before);
                    rewritten.push_str(".hash");
                }
            }
            rest = after.strip_prefix(".hash").unwrap_or(after);
        }
        rewritten.push_str(rest);
        Ok(rewritten)
    }

    /// What stands before a `.hash`: the longest path of a file that there is, from where it
    /// begins; or a path of none, where it is no name of ours either.
    fn file(&self, before: &str) -> Option<(usize, Result<Digest, String>)> {
        let begin = before
            .char_indices()
            .rev()
            .take_while(|(_, letter)| is_path_letter(*letter))
            .last()
            .map(|(at, _)| at)?;
        let candidates = before.char_indices().map(|(at, _)| at).filter(|at| {
            *at >= begin
                && (*at == begin
                    || before.get(..*at).is_some_and(|left| !left.ends_with(is_word_letter)))
        });
        for from in candidates {
            let path = before.get(from..).unwrap_or_default();
            if let Some(digest) =
                join(self.directory, path).and_then(|path| self.sources.digest(&path))
            {
                return Some((from, Ok(digest)));
            }
        }
        let path = before.get(begin..)?;
        let root = path.split('.').next().unwrap_or_default();
        let is_ours = ROOTS.contains(&root) && path.contains('.');
        (!is_ours && !ROOTS.contains(&path)).then(|| (begin, Err(path.to_owned())))
    }

    fn globs(&self, spot: Spot<'_>, expression: &str) -> Result<String, Fault> {
        let mut text = expression.to_owned();
        for name in names(expression).iter().rev().filter(|name| name.called && name.root == "hash")
        {
            let call = expression.get(name.span.end..).unwrap_or_default();
            let argument = call
                .trim_start()
                .strip_prefix('(')
                .map(str::trim_start)
                .and_then(|inner| inner.strip_prefix(['\'', '"']).zip(inner.chars().next()))
                .and_then(|(inner, quote)| inner.split_once(quote))
                .and_then(|(glob, after)| {
                    after.trim_start().strip_prefix(')').map(|after| (glob, after))
                });
            let Some((glob, after)) = argument else {
                return Err(Fault::new(
                    Code::ExpressionSyntax,
                    spot.at,
                    "hash takes one text in quotes",
                )
                .found(expression)
                .expected("hash('src/**')"));
            };
            let digest = self.glob(spot, glob)?;
            text.replace_range(
                name.span.start..expression.len() - after.len(),
                &format!("'{}'", digest.to_hex()),
            );
        }
        Ok(text)
    }

    fn glob(&self, spot: Spot<'_>, glob: &str) -> Result<Digest, Fault> {
        let pattern = join(self.directory, glob).unwrap_or_default();
        let selection = Selection::new([pattern.as_str()]).map_err(|error| {
            Fault::new(Code::InvalidValue, spot.at, "this is no glob").found(glob).expected(error)
        })?;
        let files: Vec<(&str, String)> = self
            .sources
            .listed()
            .filter(|(path, _)| selection.contains(path))
            .map(|(path, digest)| (path, digest.to_string()))
            .collect();
        if files.is_empty() {
            return Err(
                Fault::new(Code::ExpressionFailed, spot.at, "no file matches the glob").found(glob)
            );
        }
        Ok(Digest::of_json(&serde_json::json!(files)))
    }
}

fn is_word_letter(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn is_path_letter(letter: char) -> bool {
    is_word_letter(letter) || matches!(letter, '.' | '/' | '-' | '@' | '+')
}

/// Where the next `.hash` begins that ends a path, outside of quotes.
fn find_hash(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, letter) in text.char_indices() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            None if letter == '\'' || letter == '"' => quote = Some(letter),
            None => {
                let after = text.get(at..).and_then(|rest| rest.strip_prefix(".hash"));
                if after.is_some_and(|after| {
                    !after.starts_with(|next| is_path_letter(next) || next == '(')
                }) {
                    return Some(at);
                }
            }
        }
    }
    None
}

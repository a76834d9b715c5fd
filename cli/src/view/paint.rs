//! Colours, where they are wanted. Nothing is said by colour alone: each has a sign or a word.

/// Whether to colour; a value, so that renderers stay pure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours.
    pub const ON: Self = Self { on: true };
    /// Without.
    pub const OFF: Self = Self { on: false };

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// What went well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What went wrong.
    pub fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What is worth a look.
    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// What moves.
    pub fn live(self, text: &str) -> String {
        self.wrap("36", text)
    }

    /// What can be passed over.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// What a section begins with.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }
}

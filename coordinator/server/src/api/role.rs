//! Who may do what: a role per project, each containing those below it.

use std::collections::BTreeMap;

use maestro_schemas::name::ProjectName;

/// The name that stands for every project.
pub const EVERY_PROJECT: &str = "*";

/// What a token may do in a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Submit, cancel and rerun; keep prompts and objects; ask the router.
    Operator,
    /// Give prompts labels and take them away.
    Approver,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin];

    /// The text that stands in rows and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// The roles of a token, by project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants(BTreeMap<String, Role>);

impl Grants {
    /// Reads a token's row; a word that is no role grants nothing.
    pub fn of(roles: &BTreeMap<String, String>) -> Self {
        let read =
            |(project, role): (&String, &String)| Some((project.clone(), Role::parse(role)?));
        Self(roles.iter().filter_map(read).collect())
    }

    /// The role in a project: the higher of its own and the one in every project.
    pub fn in_project(&self, project: &ProjectName) -> Option<Role> {
        let own = self.0.get(project.as_str());
        own.max(self.0.get(EVERY_PROJECT)).copied()
    }

    /// The highest role anywhere.
    pub fn highest(&self) -> Option<Role> {
        self.0.values().max().copied()
    }

    /// The role in every project.
    pub fn everywhere(&self) -> Option<Role> {
        self.0.get(EVERY_PROJECT).copied()
    }

    /// Whether it reaches into every project.
    pub fn is_everywhere(&self) -> bool {
        self.0.contains_key(EVERY_PROJECT)
    }

    /// Projects that are named, with the role there, as texts.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(project, role)| (project.clone(), role.as_str().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(roles: &[(&str, &str)]) -> Grants {
        Grants::of(
            &roles
                .iter()
                .map(|(project, role)| ((*project).to_owned(), (*role).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn a_role_is_the_higher_of_the_projects_own_and_the_one_everywhere() {
        let demo = "demo".parse().unwrap();
        assert_eq!(
            grants(&[("demo", "viewer"), ("*", "operator")]).in_project(&demo),
            Some(Role::Operator)
        );
        assert_eq!(
            grants(&[("demo", "admin"), ("*", "viewer")]).in_project(&demo),
            Some(Role::Admin)
        );
        assert_eq!(grants(&[("other", "admin")]).in_project(&demo), None);
    }

    #[test]
    fn a_word_that_is_no_role_grants_nothing() {
        assert_eq!(grants(&[("demo", "owner")]).highest(), None);
    }
}

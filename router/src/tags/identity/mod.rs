//! Numbers that name a person, an account or a thing of theirs: how each is built, how it is usually
//! written, and the words that stand beside it. A row of data for each; [`super::number`] looks for
//! them.
//!
//! A number whose check says much stands alone ([`Alone`]). One that a random number passes too easily
//! needs a usual grouping (`shapes`) or a word beside it (`words`).

mod africa_oceania;
mod americas;
mod asia;
mod contact;
mod east;
mod north;
mod west;
mod world;

/// Whether an identifier is believed without separators and without a word beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// It is not: too many other numbers pass.
    Never,
    /// It is where its letters are capitals.
    Capitals,
    /// It is.
    Always,
}

/// A kind of identifier.
#[derive(Debug)]
pub(super) struct Spec {
    /// Its name in hits.
    pub kind: &'static str,
    /// Its least and most length without separators.
    pub length: (usize, usize),
    /// Whether it is digits alone.
    pub numeric: bool,
    /// Whether the compact form, in capitals, is one.
    pub check: fn(&[u8]) -> bool,
    /// Whether the compact form is believed.
    pub alone: Alone,
    /// Groupings that are believed, as `3-2-4`; the same groups with one other separator throughout
    /// are too.
    pub shapes: &'static [&'static str],
    /// Words, in small ASCII letters without spaces; of up to four letters they must stand apart.
    pub words: &'static [&'static str],
}

/// Words that stand beside any of them.
pub(super) const WORDS: [&str; 22] = [
    "nationalid",
    "nationalidentif",
    "nationalnumber",
    "identitynumber",
    "identitycard",
    "idnumber",
    "identificationnumber",
    "identityno",
    "personalid",
    "personalnumber",
    "personalcode",
    "citizenid",
    "residentid",
    "governmentid",
    "taxid",
    "taxnumber",
    "taxpayer",
    "fiscalcode",
    "socialsecurity",
    "socialinsurance",
    "healthinsurance",
    "insurancenumber",
];

/// All kinds.
pub(super) fn all() -> impl Iterator<Item = &'static Spec> {
    [
        world::SPECS,
        contact::SPECS,
        west::SPECS,
        north::SPECS,
        east::SPECS,
        americas::SPECS,
        asia::SPECS,
        africa_oceania::SPECS,
    ]
    .into_iter()
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_examples_pass_and_no_other_check_digit_does() {
        for (kind, example) in [
            ("sg_nric", "S1234567D"),
            ("hk_hkid", "A1234563"),
            ("tw_national_id", "A123456789"),
            ("vin", "1M8GDM9AXKP042788"),
            ("rs_jmbg", "0101006500006"),
            ("us_dea", "AB1234563"),
            ("mx_clabe", "032180000118359719"),
            ("de_rentenversicherung", "65170839J003"),
            ("de_personalausweis", "T220001293"),
            ("ru_snils", "11223344595"),
            ("gb_nino", "AB123456C"),
            ("us_mbi", "1EG4TE5MK73"),
        ] {
            let passes = |text: &str| {
                let fits = |spec: &&Spec| {
                    spec.kind == kind && (spec.length.0..=spec.length.1).contains(&text.len())
                };
                all().filter(fits).any(|spec| (spec.check)(text.as_bytes()))
            };
            assert!(passes(example), "{kind}");
            if !matches!(kind, "vin" | "gb_nino" | "us_mbi") {
                let (body, last) = example.split_at(example.len() - 1);
                let other = if last == "3" { "4" } else { "3" };
                assert!(!passes(&format!("{body}{other}")), "{kind}");
            }
        }
        assert!(!(all().find(|spec| spec.kind == "vin").unwrap().check)(b"1M8GDM9A1KP042788"));
    }
}

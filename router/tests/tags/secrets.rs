//! Made-up secrets. Their beginnings stand in two parts, as no scanner would know them.

use super::Dice;

const ALL: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CAPITAL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";

/// One of each: kind, label, value.
pub fn some(dice: &mut Dice) -> Vec<(&'static str, &'static str, String)> {
    let made = |dice: &mut Dice, begins: [&str; 2], signs: &str, len: usize| {
        // A digit for certain, as almost every real one has.
        begins.concat() + &dice.text(signs, len - 1) + "7"
    };
    vec![
        ("aws_access_key_id", "key_id", made(dice, ["AK", "IA"], CAPITAL, 16)),
        ("aws secret", "aws_secret_access_key", dice.text(ALL, 39) + "7"),
        ("github", "value", made(dice, ["gh", "p_"], ALL, 36)),
        (
            "github fine",
            "value",
            made(dice, ["github", "_pat_"], ALL, 22) + "_" + &dice.text(ALL, 59),
        ),
        ("gitlab", "value", made(dice, ["gl", "pat-"], ALL, 20)),
        ("slack", "value", made(dice, ["xo", "xb-"], "0123456789", 12) + "-" + &dice.text(ALL, 24)),
        ("stripe", "value", made(dice, ["sk", "_live_"], ALL, 24)),
        ("google", "value", made(dice, ["AI", "za"], ALL, 35)),
        ("anthropic", "value", made(dice, ["sk", "-ant-api03-"], ALL, 93)),
        ("openai", "value", made(dice, ["sk", "-proj-"], ALL, 48)),
        ("npm", "value", made(dice, ["np", "m_"], ALL, 36)),
        ("pypi", "value", made(dice, ["py", "pi-AgEIcHlwaS5vcmc"], ALL, 120)),
        ("sendgrid", "value", made(dice, ["S", "G."], ALL, 22) + "." + &dice.text(ALL, 43)),
        ("twilio", "value", made(dice, ["S", "K"], HEX, 32)),
        ("vault", "value", made(dice, ["hv", "s."], ALL, 24)),
        ("digitalocean", "value", made(dice, ["do", "p_v1_"], HEX, 64)),
        ("huggingface", "value", made(dice, ["hf", "_"], ALL, 34)),
        ("telegram", "value", dice.text("123456789", 10) + ":AA" + &dice.text(ALL, 33)),
        (
            "discord",
            "value",
            format!("M{}.{}.{}", dice.text(ALL, 23), dice.text(ALL, 6), dice.text(ALL, 27)),
        ),
        (
            "jwt",
            "value",
            format!(
                "{}{}.{}.{}",
                "eyJhbGciOiJIUzI1NiIs",
                "InR5cCI6IkpXVCJ9",
                dice.text(ALL, 60),
                dice.text(ALL, 43)
            ),
        ),
        (
            "connection",
            "value",
            format!("postgres://app:{}@db.acme.co:5432/x", made(dice, ["", ""], ALL, 16)),
        ),
        ("password", "password", made(dice, ["", ""], ALL, 14)),
        ("api key", "api_key", made(dice, ["", ""], ALL, 32)),
        (
            "azure",
            "connection",
            format!("AccountName=x;AccountKey={}==", made(dice, ["", ""], ALL, 86)),
        ),
    ]
}

//! Texts that an identifier or a secret comes in.

/// A way of writing a value that has a label.
pub struct Carrier {
    pub name: &'static str,
    /// Whether capitals stay, and all signs: what secrets need.
    pub keeps_case: bool,
    pub write: fn(&str, &str) -> String,
}

const fn carrier(name: &'static str, write: fn(&str, &str) -> String) -> Carrier {
    Carrier { name, keeps_case: true, write }
}

const fn changing(name: &'static str, write: fn(&str, &str) -> String) -> Carrier {
    Carrier { name, keeps_case: false, write }
}

fn camel(label: &str) -> String {
    let capital = |word: &str| word[..1].to_ascii_uppercase() + &word[1..];
    let words: Vec<String> = label.split('_').map(capital).collect();
    let joined = words.concat();
    joined[..1].to_ascii_lowercase() + &joined[1..]
}

fn words(label: &str) -> String {
    label.replace('_', " ")
}

fn percent(value: &str) -> String {
    let one = |sign: char| match sign {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => sign.to_string(),
        _ => format!("%{:02X}", u32::from(sign)),
    };
    value.chars().map(one).collect()
}

fn base64(text: &str) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let chunk = |bytes: &[u8]| {
        let all = bytes.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte))
            << (8 * (3 - bytes.len()));
        (0..4)
            .map(|place| match place <= bytes.len() {
                true => char::from(SIGNS[(all >> (18 - 6 * place) & 63) as usize]),
                false => '=',
            })
            .collect::<String>()
    };
    text.as_bytes().chunks(3).map(chunk).collect()
}

fn wide(value: &str) -> String {
    value
        .chars()
        .map(|sign| {
            if sign.is_ascii_digit() {
                char::from_u32(u32::from(sign) - 0x30 + 0xff10).unwrap()
            } else {
                sign
            }
        })
        .collect()
}

/// At 76 columns, between words.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        if lines.last().unwrap().len() + word.len() > 75 {
            lines.push(String::new());
        }
        let line = lines.last_mut().unwrap();
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.join("\n")
}

fn quoted_printable(text: &str) -> String {
    let escaped = text.replace('=', "=3D").replace('\u{a0}', "=C2=A0");
    let signs: Vec<char> = escaped.chars().collect();
    signs.chunks(75).map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("=\r\n")
}

pub const LABELLED: &[Carrier] = &[
    carrier("sentence", |label, value| {
        format!("Please note that the {} of our customer is {value}.", words(label))
    }),
    carrier("key and value", |label, value| {
        format!("Name: Jo\n{}: {value}\nCity: Rome\n", words(label).to_uppercase())
    }),
    carrier("json", |label, value| format!("{{\"name\":\"Jo\",\"{label}\":\"{value}\",\"n\":3}}")),
    carrier("nested json", |label, value| {
        format!(
            "{{\"a\":{{\"b\":[{{\n  \"{}\": {{\n    \"value\": \"{value}\"\n  }}\n}}]}}}}",
            camel(label)
        )
    }),
    carrier("json in json", |label, value| {
        format!("{{\"body\":\"{{\\\"{label}\\\":\\\"{value}\\\"}}\"}}")
    }),
    carrier("yaml", |label, value| format!("person:\n  name: Jo\n  {label}: {value}\n")),
    carrier("nested yaml", |label, value| format!("person:\n  {label}:\n    value: '{value}'\n")),
    carrier("toml", |label, value| format!("[person]\n{label} = \"{value}\"\n")),
    carrier("ini", |label, value| format!("[person]\n{label}={value}\n")),
    carrier("xml element", |label, value| format!("<p><{label}>{value}</{label}></p>")),
    carrier("xml attribute", |label, value| {
        format!("<p name=\"Jo\" {}=\"{value}\"/>", label.replace('_', "-"))
    }),
    carrier("html table", |label, value| {
        format!(
            "<table><tr><th>Name</th><th>{}</th></tr>\n<tr><td>Jo</td><td>{value}</td></tr></table>",
            words(label)
        )
    }),
    carrier("csv", |label, value| format!("name,{label},city\nAnn,,Rome\nJo,{value},Oslo\n")),
    carrier("quoted csv", |label, value| {
        format!("\"name\",\"city\",\"{}\"\n\"Roe, Jo\",\"Rome\",\"{value}\"\n", words(label))
    }),
    carrier("tsv", |label, value| format!("name\t{label}\nJo\t{value}\n")),
    carrier("markdown table", |label, value| {
        format!("| Name | {} |\n|---|---|\n| Jo | {value} |\n", words(label))
    }),
    carrier("sql", |label, value| {
        format!("INSERT INTO person (id, name, {label}) VALUES (7, 'Jo', '{value}');")
    }),
    carrier("url", |label, value| {
        format!("GET https://acme.co/find?name=Jo&{label}={}&page=2", percent(value))
    }),
    carrier("form", |label, value| {
        format!("name=Jo&{}={}", camel(label), percent(value).replace("%20", "+"))
    }),
    carrier("log line", |label, value| {
        format!("2024-05-01T10:20:30.123Z INFO [http-7] saved {label}={value} in 12ms")
    }),
    carrier("mail", |label, value| {
        format!(
            "Subject: form\r\nTo: us\r\n\r\nHello,\r\n\r\nmy {} is {value}\r\n\r\nJo\r\n",
            words(label)
        )
    }),
    carrier("environment", |label, value| {
        format!("export CUSTOMER_{}='{value}'\n", label.to_uppercase())
    }),
    carrier("python", |label, value| format!("person = dict(name='Jo', {label}='{value}')\n")),
    carrier("javascript", |label, value| format!("const {} = `{value}`;\n", camel(label))),
    carrier("comment", |label, value| format!("x = 1  # {} {value}\n", words(label))),
    carrier("base64", |label, value| {
        format!("data: {}\n", base64(&format!("name=Jo;{label}={value};")))
    }),
    carrier("quoted-printable", |label, value| {
        quoted_printable(&format!(
            "<p style=x>Dear customer, this is what we know, the {}={value}, and more",
            words(label)
        ))
    }),
    carrier("entities", |label, value| {
        format!("<p>{}&#58;&nbsp;{}</p>", words(label), value.replace('-', "&#45;"))
    }),
    carrier("behind", |label, value| format!("Check {value} ({}) again", words(label))),
    changing("wrapped", |label, value| {
        wrapped(&format!(
            "We have looked through all of the papers that you sent and the {} is {value} there",
            words(label)
        ))
    }),
    changing("wide digits", |label, value| format!("{}: {}", words(label), wide(value))),
    changing("no-break", |label, value| {
        format!("{}: {}", words(label), value.replace(' ', "\u{a0}").replace('-', "\u{2011}"))
    }),
    changing("zero width", |label, value| {
        format!(
            "{}: {}",
            words(label),
            value.chars().flat_map(|sign| [sign, '\u{200b}']).collect::<String>()
        )
    }),
    changing("small", |label, value| format!("{}: {}", words(label), value.to_lowercase())),
];

pub const UNLABELLED: &[Carrier] = &[
    carrier("alone", |_, value| value.to_owned()),
    carrier("list", |_, value| format!("- {value}\n- other\n")),
    carrier("brackets", |_, value| format!("f(\"{value}\", 2)")),
];

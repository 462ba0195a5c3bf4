//! The few things our own pages share: escaping, the frame, the style sheet.

use std::fmt::Write as _;

/// Text as it may stand in HTML, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Escaped text in which `` `words` `` are set as code.
pub(crate) fn inline_code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(out, "<code>{}</code>", escape(part));
        } else {
            out.push_str(&escape(part));
        }
    }
    out
}

/// A whole page around `body`, with our style sheet and the named scripts.
pub(crate) fn page(title: &str, body: &str, base_path: &str, scripts: &[&str]) -> String {
    let base = escape(base_path);
    let mut head = String::new();
    for script in scripts {
        let _ = write!(
            head,
            "<script type=\"module\" src=\"{base}{script}\"></script>"
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{} · Plimsoll</title>\
         <link rel=\"stylesheet\" href=\"{base}/assets/pages.css\">{head}</head>\
         <body data-base=\"{base}\">{body}</body></html>",
        escape(title),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_text_is_shown_and_not_run() {
        assert_eq!(
            escape("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
        assert_eq!(inline_code("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
        assert!(page("<x>", "", "", &[]).contains("<title>&lt;x&gt; · Plimsoll</title>"));
    }
}

//! A report as one HTML page that stands for itself: no scripts, no links, nothing loaded; every text
//! of the log is escaped, and the policy in its head forbids what escaping might have missed.

use super::report::Section;
use crate::terminal;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1b1b1b;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.5rem}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
p{margin:.2rem 0}
p.note{color:#555;font-size:.85rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd;overflow-wrap:anywhere;vertical-align:top}
th{border-bottom:2px solid #888}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
@media print{body{margin:0;max-width:none;font-size:10pt}h2{break-after:avoid}tr{break-inside:avoid}thead{display:table-header-group}}
";

/// The page.
pub(super) fn page(heading: &str, summary: &[String], sections: &[Section]) -> String {
    let heading = escaped(heading);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{heading}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{heading}</h1>\n"
    );
    summary.iter().for_each(|line| page.push_str(&format!("<p>{}</p>\n", escaped(line))));
    sections.iter().for_each(|section| push_section(&mut page, section));
    page.push_str("</body>\n</html>\n");
    page
}

fn push_section(page: &mut String, section: &Section) {
    page.push_str(&format!("<h2>{}</h2>\n", escaped(section.title)));
    if section.rows.is_empty() {
        page.push_str("<p>None.</p>\n");
    } else {
        page.push_str("<table>\n<thead>");
        push_row(page, "th scope=\"col\"", "th", section, section.head.iter().copied());
        page.push_str("</thead>\n<tbody>\n");
        for row in &section.rows {
            push_row(page, "td", "td", section, row.iter().map(String::as_str));
        }
        page.push_str("</tbody>\n</table>\n");
    }
    page.push_str(&format!("<p class=\"note\">{}</p>\n", escaped(&section.note)));
}

fn push_row<'a>(page: &mut String, begin: &str, end: &str, section: &Section, cells: impl Iterator<Item = &'a str>) {
    page.push_str("<tr>");
    for (column, cell) in cells.enumerate() {
        let class = if section.numbers.contains(&column) { " class=\"number\"" } else { "" };
        page.push_str(&format!("<{begin}{class}>{}</{end}>", escaped(cell)));
    }
    page.push_str("</tr>\n");
}

/// A text as HTML shows it, and nothing else.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in terminal::line(text).chars() {
        match character {
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "</td><script>alert(1)</script><img src=x onerror='a()'>\"&\u{202e}\u{1b}[2J";

    #[test]
    fn whatever_the_log_says_stays_text() {
        let section = Section {
            title: "Questions",
            note: HOSTILE.to_owned(),
            head: &["agency", "questions"],
            numbers: 1..,
            rows: vec![vec![HOSTILE.to_owned(), "3".to_owned()]],
        };
        let page = page(HOSTILE, &[HOSTILE.to_owned()], &[section]);
        let harmless =
            "&lt;/td&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&quot;&amp;[2J";
        // Title, heading, summary, cell and note.
        assert_eq!(page.matches(harmless).count(), 5);
        for forbidden in ["<script", "<img", "<a ", "<link", "href", "url(", "\u{202e}", "\u{1b}"] {
            assert!(!page.contains(forbidden), "{forbidden:?}");
        }
        assert!(page.contains("<td class=\"number\">3</td>") && page.contains("@media print"));
    }

    #[test]
    fn tags_are_closed_in_order_and_an_empty_table_says_so() {
        let section = |rows| Section { title: "T", note: String::new(), head: &["a", "b"], numbers: 1.., rows };
        let row = vec!["x".to_owned(), "1".to_owned()];
        let page = page("H", &["S".to_owned()], &[section(vec![row.clone(), row]), section(Vec::new())]);
        assert_eq!(page.matches("<p>None.</p>").count(), 1);
        let mut open: Vec<&str> = Vec::new();
        for tag in page.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
            let name = tag.split_whitespace().next().unwrap();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None if matches!(name, "!DOCTYPE" | "meta") => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{open:?}");
    }
}

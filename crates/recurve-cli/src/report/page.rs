//! Blocks of a page as HTML.

use std::fmt::Write;

/// A page.
pub(crate) struct Page {
    /// The name of what it reports on.
    pub(crate) title: String,
    /// What it comes to, in one sentence.
    pub(crate) headline: String,
    /// Whether that is good news; neither where it cannot be said.
    pub(crate) good: Option<bool>,
    /// Names and values, shown under the headline.
    pub(crate) facts: Vec<(String, String)>,
    /// The rest.
    pub(crate) sections: Vec<Section>,
}

/// A part of a page under a heading.
pub(crate) struct Section {
    /// The heading.
    pub(crate) title: String,
    /// What it holds.
    pub(crate) blocks: Vec<Block>,
}

/// A piece of a page. Texts are plain: they are escaped here.
pub(crate) enum Block {
    /// A paragraph.
    Text(String),
    /// Sentences in a list.
    List(Vec<String>),
    /// Rows under a head; the first column names the rows.
    Table {
        /// The names of the columns.
        head: Vec<String>,
        /// The rows.
        rows: Vec<Vec<String>>,
        /// The row to point out.
        marked: Option<usize>,
    },
    /// Commands and what they give.
    Commands(Vec<(String, &'static str)>),
    /// Charts side by side, as many as fit.
    Charts(Vec<Figure>),
    /// Text as it is, in a box that can be closed if it has a name.
    Verbatim {
        /// What is written on the closed box; absent for one that is always open.
        name: Option<String>,
        /// The text.
        text: String,
    },
}

/// A chart with its words.
pub(crate) struct Figure {
    /// What it shows.
    pub(crate) title: String,
    /// The colour class and the name of every line.
    pub(crate) legend: Vec<(&'static str, String)>,
    /// The chart.
    pub(crate) svg: String,
    /// How to read it; may be empty.
    pub(crate) caption: String,
}

impl Page {
    /// The page as an HTML file.
    pub(crate) fn html(&self) -> String {
        let mut html = String::new();
        let title = escape(&self.title);
        html += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
        html += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
        html += "<meta name=\"color-scheme\" content=\"light dark\">\n";
        put(&mut html, format_args!("<title>{title} · Recurve</title>\n"));
        put(&mut html, format_args!("<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"));
        let class = match self.good {
            Some(true) => "good",
            Some(false) => "bad",
            None => "plain",
        };
        put(
            &mut html,
            format_args!(
                "<header>\n<h1>{title}</h1>\n<p class=\"headline {class}\">{}</p>\n<dl>\n",
                escape(&self.headline)
            ),
        );
        for (name, value) in &self.facts {
            let (name, value) = (escape(name), escape(value));
            put(&mut html, format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
        }
        html += "</dl>\n</header>\n";
        for section in &self.sections {
            let title = escape(&section.title);
            put(&mut html, format_args!("<section>\n<h2>{title}</h2>\n"));
            for block in &section.blocks {
                block.html(&mut html);
            }
            html += "</section>\n";
        }
        put(
            &mut html,
            format_args!(
                "<footer>written by recurve {}</footer>\n</main>\n</body>\n</html>\n",
                env!("CARGO_PKG_VERSION")
            ),
        );
        html
    }
}

impl Block {
    fn html(&self, html: &mut String) {
        match self {
            Self::Text(text) => put(html, format_args!("<p>{}</p>\n", escape(text))),
            Self::List(items) => {
                *html += "<ul>\n";
                for item in items {
                    put(html, format_args!("<li>{}</li>\n", marked_up(item)));
                }
                *html += "</ul>\n";
            }
            Self::Table { head, rows, marked } => table(html, head, rows, *marked),
            Self::Commands(commands) => {
                *html += "<table class=\"commands\">\n";
                for (command, gives) in commands {
                    let (command, gives) = (escape(command), escape(gives));
                    put(
                        html,
                        format_args!(
                            "<tr><th scope=\"row\"><code>{command}</code></th><td>{gives}</td></tr>\n"
                        ),
                    );
                }
                *html += "</table>\n";
            }
            Self::Charts(figures) => {
                let class = if figures.len() > 1 { "charts" } else { "chart" };
                put(html, format_args!("<div class=\"{class}\">\n"));
                for figure in figures {
                    figure.html(html);
                }
                *html += "</div>\n";
            }
            Self::Verbatim { name: None, text } => {
                put(html, format_args!("<pre>{}</pre>\n", escape(text)));
            }
            Self::Verbatim { name: Some(name), text } => {
                let (name, text) = (escape(name), escape(text));
                put(
                    html,
                    format_args!("<details><summary>{name}</summary><pre>{text}</pre></details>\n"),
                );
            }
        }
    }
}

impl Figure {
    fn html(&self, html: &mut String) {
        let title = escape(&self.title);
        put(html, format_args!("<figure>\n<h3>{title}</h3>\n"));
        if self.legend.len() > 1 {
            *html += "<p class=\"legend\">";
            for (class, name) in &self.legend {
                let name = escape(name);
                put(html, format_args!("<span><i class=\"{class}\"></i>{name}</span>"));
            }
            *html += "</p>\n";
        }
        // Read aloud as one picture under its title.
        let named = format!("<svg role=\"img\" aria-label=\"{title}\" ");
        *html += &self.svg.replacen("<svg ", &named, 1);
        if !self.caption.is_empty() {
            let caption = escape(&self.caption);
            put(html, format_args!("<figcaption>{caption}</figcaption>\n"));
        }
        *html += "</figure>\n";
    }
}

fn table(html: &mut String, head: &[String], rows: &[Vec<String>], marked: Option<usize>) {
    *html += "<div class=\"scroll\"><table>\n<thead><tr>";
    for name in head {
        put(html, format_args!("<th scope=\"col\">{}</th>", escape(name)));
    }
    *html += "</tr></thead>\n<tbody>\n";
    for (at, row) in rows.iter().enumerate() {
        *html += if marked == Some(at) { "<tr class=\"marked\">" } else { "<tr>" };
        for (column, cell) in row.iter().enumerate() {
            let cell = escape(cell);
            if column == 0 {
                put(html, format_args!("<th scope=\"row\">{cell}</th>"));
            } else {
                put(html, format_args!("<td>{cell}</td>"));
            }
        }
        *html += "</tr>\n";
    }
    *html += "</tbody>\n</table></div>\n";
}

/// Escaped text in which what stands between backticks is code.
fn marked_up(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return escape(text);
    }
    let pieces = pieces.iter().enumerate().map(|(at, piece)| match at % 2 {
        0 => escape(piece),
        _ => format!("<code>{}</code>", escape(piece)),
    });
    pieces.collect()
}

fn put(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("writing to a string does not fail");
}

/// Text that means itself inside elements and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            // No character of HTML: what a model of bytes may well write.
            c if c.is_control() && !matches!(c, '\n' | '\t') => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_become_markup() {
        let page = Page {
            title: "<script>alert(1)</script>".to_owned(),
            headline: "a \"b\" & 'c'\0".to_owned(),
            good: None,
            facts: vec![("<b>".to_owned(), "</dl>".to_owned())],
            sections: vec![Section {
                title: "<i>".to_owned(),
                blocks: vec![
                    Block::Text("</main>".to_owned()),
                    Block::List(vec!["<li> `<b>` `".to_owned(), "`<b>`".to_owned()]),
                    Block::Table {
                        head: vec!["<th>".to_owned()],
                        rows: vec![vec!["<td>".to_owned(), "</table>".to_owned()]],
                        marked: Some(0),
                    },
                    Block::Verbatim {
                        name: Some("<summary>".to_owned()),
                        text: "</pre>".to_owned(),
                    },
                ],
            }],
        };
        let html = page.html();
        assert!(!html.contains("<script>") && html.contains("&lt;script&gt;"));
        assert!(html.contains("a &quot;b&quot; &amp; &#39;c&#39;\u{fffd}"));
        assert!(html.contains("<li>&lt;li&gt; `&lt;b&gt;` `</li>"));
        assert!(html.contains("<li><code>&lt;b&gt;</code></li>"));
        for element in ["main", "dl", "table", "pre", "section", "details"] {
            let open = html.matches(&format!("<{element}")).count();
            let closed = html.matches(&format!("</{element}>")).count();
            assert_eq!(open, closed, "{element}");
        }
    }
}

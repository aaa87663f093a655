//! SVG text, with everything that comes from a file escaped.

/// A picture while it is drawn.
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    body: String,
}

impl Canvas {
    pub(crate) fn new((width, height): (f64, f64)) -> Self {
        Self { width, height, body: String::new() }
    }

    /// An element without content; `what` is its name and attributes.
    pub(crate) fn element(&mut self, what: &str) {
        self.body.push_str(&format!("<{what}/>\n"));
    }

    pub(crate) fn open(&mut self, name: &str, attributes: &str) {
        self.body.push_str(&format!("<{name} {attributes}>\n"));
    }

    pub(crate) fn close(&mut self, name: &str) {
        self.body.push_str(&format!("</{name}>\n"));
    }

    pub(crate) fn text(&mut self, (x, y): (f64, f64), style: &str, text: &str) {
        self.body.push_str(&format!("<text x=\"{x:.1}\" y=\"{y:.1}\" {style}>{}</text>\n", escaped(text)));
    }

    /// The whole picture, with the map at the left.
    pub(crate) fn finish(self, map_width: f64, title: &str) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\">\n\
             <title>{}</title>\n\
             <defs><clipPath id=\"map\"><rect width=\"{map_width:.0}\" height=\"{height:.0}\"/></clipPath></defs>\n\
             <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\n\
             <rect width=\"{map_width:.0}\" height=\"{height:.0}\" fill=\"#f7f8f9\"/>\n\
             {body}</svg>\n",
            escaped(title)
        )
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

//! Rows in aligned columns, for people. Programs use `--json`.

use crate::view::clean::clean;

/// A table without lines: a head in capitals and columns that are two spaces apart.
#[derive(Debug)]
pub struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head; each row is to have as many cells.
    pub fn new(head: &[&'static str]) -> Self {
        Self { head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. What a terminal could misread is taken out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// The lines, the head first; just `none` where there is no row.
    pub fn render(&self, none: &str) -> String {
        if self.rows.is_empty() {
            return none.to_owned();
        }
        let head: Vec<String> = self.head.iter().map(|name| name.to_uppercase()).collect();
        let lines = std::iter::once(&head).chain(&self.rows);
        lines.map(|cells| self.line(cells)).collect::<Vec<_>>().join("\n")
    }

    fn line(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (index, cell) in cells.iter().enumerate() {
            line.push_str(cell);
            let pad = self.width(index).saturating_sub(cell.chars().count()) + 2;
            line.extend(std::iter::repeat_n(' ', pad));
        }
        line.trim_end().to_owned()
    }

    fn width(&self, column: usize) -> usize {
        let head = self.head.get(column).map_or(0, |name| name.chars().count());
        let cells =
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["run", "state"]);
        table.row(["a".into(), "running".into()]);
        table.row(["longer".into(), "ok".into()]);
        assert_eq!(table.render("none"), "RUN     STATE\na       running\nlonger  ok");
        assert_eq!(Table::new(&["run"]).render("no runs"), "no runs");
    }
}

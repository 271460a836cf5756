use std::path::Path;

use super::*;

const KNOWN: &[&str] = &["name", "count", "seconds", "is_on", "words", "table", "tables", "env"];
const INNER: &[&str] = &["name", "id"];

fn read<T>(text: &str, read: impl FnOnce(&Table<'_>) -> Result<T, FileError>) -> Result<T, String> {
    let file = Path::new("/etc/x.toml");
    Document::parse(file, text)
        .and_then(|document| read(&document.root(KNOWN)?))
        .map_err(|error| error.to_string())
}

#[test]
fn values_know_their_line_and_their_whole_key() {
    let text =
        "# first\nname = \"a\"\n\n[table]\n  name = \"b\"\n[[tables]]\nid = \"c\"\n[[tables]]\nid = \"d\"\n";
    let places = read(text, |root| {
        let table = root.table("table", INNER)?.expect("it is there");
        let mut places = vec![root.text("name")?, table.text("name")?];
        for table in root.tables("tables", INNER)? {
            places.push(table.text("id")?);
        }
        Ok(places.into_iter().map(|found| found.expect("it is there").map(str::to_owned)).collect::<Vec<_>>())
    })
    .expect("it is good");
    let seen: Vec<_> = places
        .iter()
        .map(|found| (found.value.as_str(), found.place.line, found.place.key.as_str()))
        .collect();
    assert_eq!(
        seen,
        [("a", 2, "name"), ("b", 5, "table.name"), ("c", 7, "tables.id"), ("d", 9, "tables.id")]
    );
    assert_eq!(places[1].place.to_string(), "/etc/x.toml:5: `table.name`");
}

#[test]
fn what_is_absent_is_nothing() {
    let absent = read("", |root| {
        Ok(root.text("name")?.is_none()
            && root.table("table", INNER)?.is_none()
            && root.tables("tables", INNER)?.is_empty()
            && root.named_texts("env")?.is_none())
    });
    assert_eq!(absent, Ok(true));
}

#[test]
fn numbers_come_in_every_notation() {
    let read_all = |root: &Table<'_>| Ok((root.count("count")?, root.number("seconds")?));
    for (text, count, seconds) in [
        ("count = 1_000\nseconds = 2.5", 1_000, 2.5),
        ("count = 0x10\nseconds = 3", 16, 3.0),
        ("count = 0\nseconds = 1e3", 0, 1_000.0),
        ("count = +7\nseconds = -1", 7, -1.0),
    ] {
        let (found_count, found_seconds) = read(text, read_all).expect("it is good");
        assert_eq!(found_count.expect("there").value, count, "{text}");
        assert_eq!(found_seconds.expect("there").value.to_bits(), f64::to_bits(seconds), "{text}");
    }
}

#[test]
fn every_mistake_names_its_place_and_what_to_write_instead() {
    let everything = |root: &Table<'_>| {
        root.text("name")?;
        root.count("count")?;
        root.number("seconds")?;
        root.bool("is_on")?;
        root.texts("words")?;
        root.named_texts("env")?;
        root.table("table", INNER)?;
        root.tables("tables", INNER)?;
        Ok(())
    };
    for (text, words) in [
        ("name = ", "/etc/x.toml:1:8: "),
        ("name = \"a\"\nname = \"b\"", "/etc/x.toml:2:1: duplicate key"),
        ("\n\ncuont = 1", "/etc/x.toml:3: `cuont` is not known here; did you mean `count`?"),
        ("qqq = 1", "/etc/x.toml:1: `qqq` is not known here; known are name, count, "),
        ("[table]\nnaem = 1", "/etc/x.toml:2: `table.naem` is not known here; did you mean `name`?"),
        ("[[tables]]\n[[tables]]\nx = 1", "/etc/x.toml:3: `tables.x` is not known here; known are name, id"),
        ("name = 5", "/etc/x.toml:1: `name` must be a text in quotes, not the whole number 5"),
        ("count = -5", "`count` must be a whole number of 0 or more, not the whole number -5"),
        ("count = 99999999999999999999", "`count` must be a whole number of 0 or more"),
        ("count = 1.5", "`count` must be a whole number of 0 or more, not the number 1.5"),
        ("seconds = \"5\"", "`seconds` must be a number, not a text"),
        ("is_on = 1", "`is_on` must be true or false, not the whole number 1"),
        ("words = [\"a\", true]", "`words` must be a list of texts in quotes, not a list that holds true"),
        ("words = \"a\"", "`words` must be a list of texts in quotes, not a text"),
        ("env = { A = 1 }", "`env.A` must be a text in quotes"),
        ("env = [\"A=1\"]", "`env` must be a table, not a list of texts"),
        ("table = 2020-01-01", "`table` must be a table, not a date or time"),
        ("tables = {}", "`tables` must be a list of tables, not a table"),
        ("tables = [1]", "`tables` must be a list of tables, not the whole number 1"),
    ] {
        let said = read(text, everything).expect_err(text);
        assert!(said.contains(words), "{text:?} says {said}");
        assert!(!said.contains('\n'), "{text:?} says {said}");
    }
}

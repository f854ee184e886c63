//! The house: who may import whom, by the table of storeys in CONTRIBUTING.md, and how long its front
//! may be.
//!
//! What counts as an import is any path in code that begins with `crate::`, `super::`, `self::` or
//! the name of a module below, in a `use` line or elsewhere; it leads to the file that defines the
//! name, through whatever re-exports there are on the way. A module's `pub use` of what is below it is
//! its face, and no import. Comments, strings and modules that are there for tests and for loom alone
//! (`#[cfg(test)]`, `#[cfg(loom)]`) do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A path of modules below the root of the crate.
type Module = Vec<String>;

/// The text of files by their paths below `src`.
type Files = BTreeMap<String, String>;

#[derive(Default)]
struct Room {
    file: String,
    children: BTreeSet<String>,
    /// Names that `use` lines bring in, with the paths behind them.
    names: BTreeMap<String, Vec<String>>,
    /// Paths of the `use` lines that are no face, and of the rest of the code.
    paths: Vec<Vec<String>>,
}

struct House {
    rooms: BTreeMap<Module, Room>,
}

// --- reading -------------------------------------------------------------------------------------

/// The code without its comments; strings and characters are emptied.
fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut code = String::new();
    let mut at = 0;
    let starts = |at: usize, what: &str| {
        let mut rest = chars[at.min(chars.len())..].iter();
        what.chars().all(|c| rest.next() == Some(&c))
    };
    while at < chars.len() {
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if starts(at, "r\"") || starts(at, "r#\"") {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            at += hashes + 2;
            while at < chars.len() && !starts(at, &end) {
                at += 1;
            }
            at += end.len();
            code.push_str("\"\"");
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            code.push_str("\"\"");
        } else if chars[at] == '\'' && (starts(at + 1, "\\") || starts(at + 2, "'")) {
            // A character, and not a lifetime.
            at += if starts(at + 1, "\\") { 3 } else { 2 };
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
            code.push_str("' '");
        } else {
            code.push(chars[at]);
            at += 1;
        }
    }
    code
}

/// Words and signs; `::` is one.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut rest = code.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if c == ':' && rest.peek() == Some(&':') {
            rest.next();
            tokens.push("::".to_owned());
        } else if !c.is_whitespace() {
            tokens.push(c.to_string());
        }
    }
    tokens.extend((!word.is_empty()).then_some(word));
    tokens
}

/// Where the bracket that opens at `at` closes.
fn closing(tokens: &[String], at: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len()
}

/// All paths of a `use` tree with the names that they bring in.
fn use_tree(tokens: &[String], before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                let end = closing(tokens, at);
                let (mut start, mut depth) = (at + 1, 0);
                for index in at + 1..=end.min(tokens.len() - 1) {
                    match tokens[index].as_str() {
                        "{" => depth += 1,
                        "}" if index < end => depth -= 1,
                        _ => {}
                    }
                    if (tokens[index] == "," && depth == 0) || index == end {
                        if start < index {
                            use_tree(&tokens[start..index], &path, found);
                        }
                        start = index + 1;
                    }
                }
                return;
            }
            "as" => {
                found.push((path, tokens[at + 1].clone()));
                return;
            }
            _ => {
                path.push(token.clone());
                at += 1;
            }
        }
    }
    if path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(name) = path.last().cloned() {
        found.push((path, name));
    }
}

impl House {
    fn read(files: &Files) -> Self {
        let mut house = Self {
            rooms: BTreeMap::new(),
        };
        house.enter(files, "lib.rs", &[]);
        house
    }

    /// Reads a file and those of the modules that it declares.
    fn enter(&mut self, files: &Files, file: &str, module: &[String]) {
        let text = files
            .get(file)
            .unwrap_or_else(|| panic!("src/{file} is declared and not there"));
        let mut room = Room {
            file: file.to_owned(),
            ..Room::default()
        };
        let mut faces = Vec::new();
        let mut rest = Vec::new();
        let tokens = tokens(&bare(text));
        let (mut at, mut public, mut for_tests) = (0, false, false);
        while let Some(token) = tokens.get(at) {
            let next = tokens.get(at + 1).map_or("", String::as_str);
            match token.as_str() {
                "#" if next == "[" || next == "!" => {
                    let open = if next == "[" { at + 1 } else { at + 2 };
                    let end = closing(&tokens, open);
                    let attribute = &tokens[open..end];
                    let says = |word: &str| attribute.iter().any(|token| token == word);
                    // Of all that must hold, that it is a test.
                    let is_asked_first = attribute.windows(3).any(|w| w == ["all", "(", "test"]);
                    // Not if something else than tests may ask for it as well.
                    for_tests |= says("cfg")
                        && (is_asked_first
                            || (says("test") || says("loom")) && !(says("not") || says("any")));
                    at = end;
                }
                "pub" => {
                    public = true;
                    // `pub(in crate::clock)` imports nothing.
                    if next == "(" {
                        at = closing(&tokens, at + 1);
                    }
                }
                "mod" if tokens.get(at + 2).is_some_and(|sign| sign == ";") => {
                    if !for_tests {
                        room.children.insert(next.to_owned());
                    }
                    at += 2;
                    (public, for_tests) = (false, false);
                }
                "mod" if for_tests && tokens.get(at + 2).is_some_and(|sign| sign == "{") => {
                    at = closing(&tokens, at + 2);
                    (public, for_tests) = (false, false);
                }
                "use" => {
                    let end = (at..tokens.len())
                        .find(|index| tokens[*index] == ";")
                        .unwrap();
                    let mut found = Vec::new();
                    use_tree(&tokens[at + 1..end], &[], &mut found);
                    for (path, name) in found {
                        room.names.insert(name, path.clone());
                        faces.push((public, path));
                    }
                    at = end;
                    (public, for_tests) = (false, false);
                }
                _ => {
                    let begins = next == "::" && (at == 0 || tokens[at - 1] != "::");
                    if begins {
                        let mut path = vec![token.clone()];
                        while tokens.get(at + 1).is_some_and(|sign| sign == "::") {
                            let Some(name) = tokens.get(at + 2).filter(|name| {
                                name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                            }) else {
                                break;
                            };
                            path.push(name.clone());
                            at += 2;
                        }
                        rest.push(path);
                    }
                    (public, for_tests) = (false, false);
                }
            }
            at += 1;
        }
        for (public, path) in faces {
            let below = path.first().is_some_and(|first| {
                room.children.contains(first)
                    || (first == "self" && path.get(1).is_some_and(|s| room.children.contains(s)))
            });
            if !(public && below) {
                room.paths.push(path);
            }
        }
        room.paths.extend(rest);
        let children = room.children.clone();
        self.rooms.insert(module.to_vec(), room);
        let folder = match file.strip_suffix(".rs").unwrap() {
            "lib" => String::new(),
            stem => format!("{stem}/"),
        };
        for child in children {
            let below: Module = module.iter().cloned().chain([child.clone()]).collect();
            self.enter(files, &format!("{folder}{child}.rs"), &below);
        }
    }

    /// The file that defines what a path names in a module; `None` if it leads out of the crate.
    fn defines(&self, module: &[String], path: &[String], patience: u32) -> Option<&str> {
        assert!(patience > 0, "{path:?} in {module:?} leads in a ring");
        let mut here = module.to_vec();
        let mut rest = path;
        let mut rooted = false;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" if !rooted => here.clear(),
                "self" if !rooted => {}
                "super" => {
                    here.pop();
                }
                name => {
                    let room = &self.rooms[&here];
                    if room.children.contains(name) {
                        here.push(name.to_owned());
                    } else if let Some(behind) = room
                        .names
                        .get(name)
                        .filter(|behind| {
                            behind
                                .first()
                                .is_some_and(|first| first != name || behind.len() > 1)
                        })
                        .filter(|_| rooted)
                    {
                        let whole: Vec<String> = behind.iter().chain(after).cloned().collect();
                        return self.defines(&here, &whole, patience - 1);
                    } else if rooted {
                        return Some(&room.file);
                    } else {
                        return None;
                    }
                }
            }
            rooted = true;
            rest = after;
        }
        Some(&self.rooms[&here].file)
    }

    /// Every file with those that it imports from.
    fn imports(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut imports = BTreeMap::new();
        for (module, room) in &self.rooms {
            let from = room
                .paths
                .iter()
                .filter_map(|path| self.defines(module, path, 20))
                .filter(|file| *file != room.file);
            imports.insert(room.file.as_str(), from.collect());
        }
        imports
    }

    /// Every group of files that import each other, directly or by way of others.
    fn circles(&self) -> Vec<Vec<&str>> {
        let imports = self.imports();
        let reach = |from: &str| {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&str> = imports[from].iter().copied().collect();
            while let Some(file) = open.pop() {
                if seen.insert(file) {
                    open.extend(&imports[file]);
                }
            }
            seen
        };
        let reached: BTreeMap<&str, BTreeSet<&str>> =
            imports.keys().map(|file| (*file, reach(file))).collect();
        let mut circles: BTreeSet<Vec<&str>> = BTreeSet::new();
        for (file, seen) in &reached {
            if seen.contains(file) {
                let group = seen.iter().filter(|other| reached[*other].contains(file));
                circles.insert(group.copied().collect());
            }
        }
        circles.into_iter().collect()
    }

    /// What is wrong with the imports, by these storeys, the highest first.
    fn climbs(&self, storeys: &[BTreeSet<String>]) -> Vec<String> {
        let height = |file: &str| {
            let room = room_of(file);
            storeys.iter().rev().position(|rooms| rooms.contains(room))
        };
        let mut wrong = Vec::new();
        for (file, from) in self.imports() {
            for other in from {
                let (here, there) = (height(file), height(other));
                if room_of(file) != room_of(other) && here <= there {
                    wrong.push(format!(
                        "src/{file} imports src/{other}, which is not below it"
                    ));
                }
            }
        }
        wrong
    }
}

/// `clock` of `clock.rs` and of all that is in `clock/`.
fn room_of(file: &str) -> &str {
    let top = file.split('/').next().unwrap();
    top.strip_suffix(".rs").unwrap_or(top)
}

// --- the tables ----------------------------------------------------------------------------------

/// The storeys of the table under `## The storeys`, the highest first: the first column's names.
fn storeys(contributing: &str) -> Vec<BTreeSet<String>> {
    let section = contributing
        .split("\n## ")
        .find(|section| section.starts_with("The storeys\n"));
    let section = section.expect("CONTRIBUTING.md has a section `The storeys`");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        let names = cell.split('`').skip(1).step_by(2);
        names
            .map(|name| {
                name.trim_end_matches('/')
                    .trim_end_matches(".rs")
                    .to_owned()
            })
            .collect()
    })
    .collect()
}

/// Rooms without a storey, storeys without their rooms, and rooms on two of them.
fn unplaced(files: &Files, storeys: &[BTreeSet<String>]) -> Vec<String> {
    let rooms: BTreeSet<&str> = files.keys().map(|file| room_of(file)).collect();
    let mut wrong = Vec::new();
    for room in &rooms {
        let places = storeys.iter().filter(|rooms| rooms.contains(*room)).count();
        if places != 1 {
            wrong.push(format!(
                "src/{room} is in {places} storeys of the table instead of one"
            ));
        }
    }
    let named = storeys.iter().flatten();
    for room in named.filter(|room| !rooms.contains(room.as_str())) {
        wrong.push(format!("the table has a room {room} that is not in src"));
    }
    wrong
}

// --- this house ----------------------------------------------------------------------------------

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn files(below: &Path) -> Files {
    let mut files = Files::new();
    let mut open = vec![below.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path.strip_prefix(below).unwrap().to_str().unwrap();
                files.insert(name.replace('\\', "/"), fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

fn library() -> Files {
    let files = files(&root().join("src"));
    assert!(files.len() > 80, "only {} files", files.len());
    files
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_room_has_a_storey() {
    none(&unplaced(&library(), &storeys(&read("CONTRIBUTING.md"))));
}

#[test]
fn no_import_climbs() {
    let house = House::read(&library());
    let imports: usize = house.imports().values().map(BTreeSet::len).sum();
    assert!(imports > 250, "only {imports} imports");
    none(&house.climbs(&storeys(&read("CONTRIBUTING.md"))));
}

fn told(circles: &[Vec<&str>]) -> Vec<String> {
    let line = |circle: &Vec<&str>| format!("a circle of imports: {}", circle.join(", "));
    circles.iter().map(line).collect()
}

#[test]
fn no_files_import_each_other() {
    none(&told(&House::read(&library()).circles()));
}

/// Nor do those of the other crates of the workspace; what was packaged has none.
#[test]
fn no_files_of_the_other_crates_import_each_other() {
    let Ok(crates) = fs::read_dir(root().join("crates")) else {
        return;
    };
    for folder in crates {
        let source = folder.unwrap().path().join("src");
        if source.join("lib.rs").exists() {
            none(&told(&House::read(&files(&source)).circles()));
        }
    }
}

#[test]
fn the_root_has_at_most_22_names() {
    let mut found = Vec::new();
    let tokens = tokens(&bare(&read("src/lib.rs")));
    let starts = (1..tokens.len()).filter(|at| tokens[*at] == "use" && tokens[at - 1] == "pub");
    for at in starts {
        let end = (at..tokens.len()).find(|end| tokens[*end] == ";").unwrap();
        use_tree(&tokens[at + 1..end], &[], &mut found);
    }
    let house = House::read(&library());
    // A module under another name is no name of the root's.
    let names: Vec<&str> = found
        .iter()
        .filter(|(path, _)| !house.rooms.contains_key(path))
        .map(|(_, name)| name.as_str())
        .collect();
    assert!(!names.contains(&"*"), "a glob hides names");
    assert!(
        (10..=22).contains(&names.len()),
        "{}: {names:?}",
        names.len()
    );
}

#[test]
fn the_readme_has_at_most_200_lines() {
    let lines = read("README.md").lines().count();
    assert!((20..=200).contains(&lines), "{lines} lines");
}

#[test]
fn the_front_page_has_at_most_120_lines() {
    let text = read("src/lib.rs");
    let mut lines = text.lines().filter(|line| line.starts_with("//!")).count();
    for included in text.split("#![doc = include_str!(\"").skip(1) {
        let path = included.split('"').next().unwrap();
        lines += read(&format!("src/{path}")).lines().count();
    }
    assert!((10..=120).contains(&lines), "{lines} lines");
}

// --- the tests of the tests ----------------------------------------------------------------------

fn house(files: &[(&str, &str)]) -> House {
    House::read(
        &files
            .iter()
            .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
            .collect(),
    )
}

const STOREYS: &str = "\n## The storeys\n\n| rooms | what |\n|---|---|\n| `lib.rs` | front |\n| `b` | up |\n| `a`, `c.rs` | down |\n";

#[test]
fn a_climb_is_found_through_what_the_front_exports() {
    let files = [
        (
            "lib.rs",
            "mod a; mod b; mod c;\npub use b::{Deep as Out, inner};",
        ),
        (
            "a.rs",
            "fn f() { let _ = crate::Out::new(\"crate::c::X\"); } // crate::c::X",
        ),
        ("b.rs", "pub mod inner;\npub use inner::Deep;"),
        (
            "b/inner.rs",
            "use crate::c::X; pub struct Deep; impl Deep { pub(in crate::b) fn new() {} }",
        ),
        (
            "c.rs",
            "pub struct X; #[cfg(test)] mod tests { use crate::b::Deep; use super::*; }
             #[cfg(all(test, not(loom)))] mod more { use crate::b::Deep; use super::*; }",
        ),
    ];
    let house = house(&files);
    let wrong = house.climbs(&storeys(STOREYS));
    assert_eq!(
        wrong,
        ["src/a.rs imports src/b/inner.rs, which is not below it"]
    );
    assert!(house.circles().is_empty());
}

#[test]
fn rooms_of_one_storey_do_not_import_each_other() {
    let house = house(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use super::c::{self, X};"),
        ("b.rs", ""),
        ("c.rs", "pub struct X;"),
    ]);
    assert_eq!(house.climbs(&storeys(STOREYS)).len(), 1);
}

#[test]
fn a_circle_is_found_though_it_goes_by_way_of_the_parent() {
    let house = house(&[
        ("lib.rs", "mod a;\npub use a::One;"),
        (
            "a.rs",
            "mod one; mod two; mod three; pub use one::One; use three::f;",
        ),
        ("a/one.rs", "pub struct One(super::two::Two);"),
        ("a/two.rs", "use super::One; pub struct Two;"),
        ("a/three.rs", "use crate::a::one::One; pub fn f() {}"),
    ]);
    assert_eq!(house.circles(), [["a/one.rs", "a/two.rs"]]);
}

#[test]
fn a_room_that_the_table_does_not_know_is_found() {
    let files = ["lib.rs", "a.rs", "b/x.rs", "c.rs", "d/y.rs"];
    let files: Files = files.map(|file| (file.to_owned(), String::new())).into();
    let wrong = unplaced(&files, &storeys(STOREYS));
    assert_eq!(wrong, ["src/d is in 0 storeys of the table instead of one"]);
}

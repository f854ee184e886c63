//! README.md as a person sees it, on a page that renders Markdown and no rustdoc.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// Its pieces of Rust.
fn snippets(text: &str) -> Vec<&str> {
    let fenced = text.split("```").skip(1).step_by(2);
    fenced
        .filter_map(|code| code.strip_prefix("rust\n"))
        .collect()
}

/// Where the links of a text lead, without what is on the web.
fn links(text: &str) -> Vec<&str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).collect()
}

#[test]
fn no_line_of_its_code_is_one_that_only_rustdoc_hides() {
    let text = readme();
    let snippets = snippets(&text);
    assert!(snippets.len() >= 2);
    for line in snippets.iter().flat_map(|code| code.lines()) {
        let line = line.trim_start();
        assert!(line != "#" && !line.starts_with("# "), "{line}");
    }
    // Each is a program that can be copied whole.
    for code in snippets {
        assert!(code.contains("fn main()"), "{code}");
    }
}

#[test]
fn every_page_of_the_guide_is_linked_and_every_link_leads_somewhere() {
    let text = readme();
    let links = links(&text);
    // A package is without the other crates, and its pages are shown with the repository's links.
    let packaged = !root().join("crates").exists();
    for link in &links {
        let path = link.split('#').next().unwrap();
        let left_out = packaged && path.starts_with("crates/");
        assert!(left_out || root().join(path).exists(), "{link}");
    }
    for page in fs::read_dir(root().join("src/guide")).unwrap() {
        let page = format!("src/guide/{}", page.unwrap().file_name().to_str().unwrap());
        assert!(links.contains(&page.as_str()), "{page} is not linked");
    }
}

#[test]
fn each_label_of_an_assumption_is_given_once() {
    let text = readme();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| A"));
    let labels: Vec<String> = rows
        .map(|row| format!("A{}", row.split(' ').next().unwrap()))
        .collect();
    assert!(labels.len() >= 5, "{labels:?}");
    let counted: Vec<String> = (1..=labels.len()).map(|n| format!("A{n}")).collect();
    assert_eq!(labels, counted);
    let how = fs::read_to_string(root().join("src/guide/how_it_works.md")).unwrap();
    for label in &labels {
        let given = [format!("**{label},"), format!("**{label}**")];
        let times: usize = given
            .iter()
            .map(|it| how.matches(it.as_str()).count())
            .sum();
        assert_eq!(times, 1, "{label}");
    }
}

/// Where commits are introduced, and not pages later.
#[test]
fn it_says_where_commits_are_introduced_that_stamps_are_unique_among_clones_only() {
    let text = readme();
    let (_, after) = text.split_once("clock.begin_commit()?;").unwrap();
    let (section, _) = after.split_once("\n## ").unwrap();
    assert!(
        section.contains("unique among the\nclones of one `Clock` only"),
        "{section}"
    );
}

#[test]
fn a_clean_shutdown_has_a_recipe() {
    let page = fs::read_to_string(root().join("src/guide/ways_back.md")).unwrap();
    let (_, recipe) = page.split_once("# Clean shutdown").unwrap();
    assert!(recipe.contains("into_record()"));
    assert!(readme().contains("`HybridClock::into_record` | [ways back](src/guide/ways_back.md)"));
}

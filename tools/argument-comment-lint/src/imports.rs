//! Where the names of one file come from: its `use` declarations, at whatever depth they stand.

use std::collections::{HashMap, HashSet};

use syn::UseTree;
use syn::visit::{self, Visit};

/// What is known of the workspace before its functions are read.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Libraries of the workspace, as `use` spells them, with their packages.
    pub(crate) libraries: HashMap<String, usize>,
    /// Modules of each package, by the last part of their path.
    pub(crate) modules: HashSet<(usize, String)>,
    /// Names of types and traits of the workspace.
    pub(crate) types: HashSet<String>,
}

/// Where something is defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In this package of the workspace.
    Package(usize),
    /// In a library that is not ours.
    Foreign,
    /// Not imported: defined in this file, or part of the language.
    Here,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Imports {
    package: usize,
    names: HashMap<String, Vec<String>>,
    /// Packages of the workspace of which everything is imported from some module.
    pub(crate) globs: Vec<usize>,
    /// For names that the file imports from elsewhere although the workspace has a type of that name.
    foreign_types: HashSet<String>,
    libraries: HashMap<String, usize>,
    modules: HashSet<String>,
}

impl Imports {
    /// Reads the imports of a file of `package`.
    pub(crate) fn read(file: &syn::File, package: usize, surroundings: &Surroundings) -> Self {
        let mut reader = Reader::default();
        reader.visit_file(file);
        let modules = surroundings
            .modules
            .iter()
            .filter(|(of, _)| *of == package)
            .map(|(_, module)| module.clone())
            .collect();
        let mut imports = Self {
            package,
            names: reader.names,
            globs: Vec::new(),
            foreign_types: HashSet::new(),
            libraries: surroundings.libraries.clone(),
            modules,
        };
        imports.globs = reader
            .globs
            .iter()
            .filter_map(|path| match imports.origin_of_path(path) {
                Origin::Package(package) => Some(package),
                _ => None,
            })
            .collect();
        imports.foreign_types = imports
            .names
            .iter()
            .filter(|(name, path)| {
                surroundings.types.contains(*name) && imports.origin_of_path(path) == Origin::Foreign
            })
            .map(|(name, _)| name.clone())
            .collect();
        imports
    }

    /// What `name` was called where it was imported from.
    pub(crate) fn path(&self, name: &str) -> Option<&[String]> {
        self.names.get(name).map(Vec::as_slice)
    }

    /// Where a path that is written in this file leads.
    pub(crate) fn origin(&self, path: &[String]) -> Origin {
        match path {
            [single] if !self.names.contains_key(single) => Origin::Here,
            _ => self.origin_of_path(path),
        }
    }

    fn origin_of_path(&self, path: &[String]) -> Origin {
        let mut first = path.first().map_or("", String::as_str);
        // A name may be imported from a module that is itself imported; nobody does that often.
        for _ in 0..4 {
            if matches!(first, "crate" | "self" | "super" | "Self") {
                return Origin::Package(self.package);
            }
            if let Some(&package) = self.libraries.get(first) {
                return Origin::Package(package);
            }
            match self.names.get(first).and_then(|path| path.first()) {
                Some(next) if next != first => first = next,
                _ => break,
            }
        }
        if self.modules.contains(first) { Origin::Package(self.package) } else { Origin::Foreign }
    }

    /// The name of the type that `path` leads to, as its definition has it. A type that is not ours but shares its name
    /// with one that is gets a mark in front.
    pub(crate) fn type_name(&self, path: &[String]) -> String {
        let last = path.last().cloned().unwrap_or_default();
        let foreign = match path {
            [single] => self.foreign_types.contains(single),
            _ => self.origin(path) == Origin::Foreign,
        };
        let defined = match (path, self.names.get(&last)) {
            ([_], Some(imported)) => imported.last().cloned().unwrap_or(last),
            _ => last,
        };
        if foreign && !WRAPPERS.contains(&defined.as_str()) { format!("::{defined}") } else { defined }
    }
}

/// Types of the standard library that are looked through, however they are reached.
pub(crate) const WRAPPERS: [&str; 12] = [
    "Arc",
    "Box",
    "Rc",
    "Pin",
    "Option",
    "Result",
    "Mutex",
    "RwLock",
    "RefCell",
    "Future",
    "BoxFuture",
    "Vec",
];

#[derive(Default)]
struct Reader {
    names: HashMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

impl Reader {
    fn tree(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.tree(&tree.tree, path);
            }
            UseTree::Name(tree) if tree.ident == "self" => {
                if let Some(name) = path.last().cloned() {
                    self.names.insert(name, path);
                }
            }
            UseTree::Name(tree) => {
                path.push(tree.ident.to_string());
                self.names.insert(tree.ident.to_string(), path);
            }
            UseTree::Rename(tree) => {
                if tree.ident != "self" {
                    path.push(tree.ident.to_string());
                }
                self.names.insert(tree.rename.to_string(), path);
            }
            UseTree::Glob(_) => self.globs.push(path),
            UseTree::Group(tree) => tree.items.iter().for_each(|item| self.tree(item, path.clone())),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, Vec::new());
        visit::visit_item_use(self, item);
    }
}

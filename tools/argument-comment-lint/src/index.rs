//! Every function, method and field of the workspace, with the names of parameters.

use std::collections::{HashMap, HashSet};

use syn::visit::{self, Visit};
use syn::{Fields, FnArg, Generics, Pat};

use crate::imports::{Imports, Surroundings};
use crate::types::{Names, Type};
use crate::workspace::{Source, Workspace};

/// A function or method, or a closure that was given a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    pub(crate) package: usize,
    /// Its file's place in [`Workspace::sources`].
    pub(crate) source: usize,
    /// The last part of its module path.
    pub(crate) module: String,
    /// The type or trait that it is a method or associated function of.
    pub(crate) owner: Option<String>,
    pub(crate) name: String,
    /// Names of parameters, `self` aside; `None` for patterns.
    pub(crate) parameters: Vec<Option<String>>,
    /// Whether it takes `self`.
    pub(crate) method: bool,
    pub(crate) returns: Type,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) surroundings: Surroundings,
    functions: HashMap<String, Vec<Signature>>,
    /// By type and field; fields of tuple structs are named by their numbers.
    fields: HashMap<(String, String), Type>,
    aliases: HashMap<String, Type>,
    /// Traits of each type.
    implements: HashMap<String, HashSet<String>>,
}

impl Index {
    /// Reads the whole workspace.
    pub(crate) fn read(workspace: &Workspace) -> Self {
        let mut types = TypeNames::default();
        for source in &workspace.sources {
            types.visit_file(&source.file);
        }
        let mut modules: HashSet<_> =
            workspace.sources.iter().map(|source| (source.package, source.module.clone())).collect();
        for source in &workspace.sources {
            modules.extend(inline_modules(&source.file.items).map(|module| (source.package, module)));
        }
        let libraries = workspace.packages.iter().enumerate();
        let libraries = libraries.map(|(index, package)| (package.library.clone(), index)).collect();
        let mut index =
            Self { surroundings: Surroundings { libraries, modules, types: types.0 }, ..Self::default() };
        for (position, source) in workspace.sources.iter().enumerate() {
            let imports = Imports::read(&source.file, source.package, &index.surroundings);
            let names = Names { imports: &imports, generics: HashMap::new(), owner: None };
            let mut collector =
                Collector { index: &mut index, source, position, module: source.module.clone(), names };
            collector.visit_file(&source.file);
        }
        index
    }

    /// All that have this name.
    pub(crate) fn named(&self, name: &str) -> &[Signature] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Methods and associated functions of a type or trait, those of its traits included.
    pub(crate) fn owned(&self, owner: &str, name: &str) -> Vec<&Signature> {
        let of = |owner: &str| {
            let all = self.named(name).iter();
            all.filter(|one| one.owner.as_deref() == Some(owner)).collect::<Vec<_>>()
        };
        let own = of(owner);
        if !own.is_empty() {
            return own;
        }
        self.implements.get(owner).into_iter().flatten().flat_map(|implemented| of(implemented)).collect()
    }

    /// Whether the workspace defines a type or trait of this name.
    pub(crate) fn is_ours(&self, ty: &Type) -> bool {
        self.surroundings.types.contains(&ty.name)
    }

    /// The type of a field.
    pub(crate) fn field(&self, owner: &str, field: &str) -> Type {
        self.fields.get(&(owner.to_owned(), field.to_owned())).cloned().unwrap_or_else(Type::unknown)
    }

    /// What an alias stands for, or the type itself.
    pub(crate) fn expand(&self, ty: Type) -> Type {
        self.aliases.get(&ty.name).cloned().unwrap_or(ty)
    }
}

/// The name that a pattern binds, if it binds just one; neither `_` in front nor `r#` is part of it.
pub(crate) fn parameter(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(pattern) => {
            let name = pattern.ident.to_string();
            let name = name.trim_start_matches("r#").trim_start_matches('_');
            (!name.is_empty()).then(|| name.to_owned())
        }
        Pat::Type(pattern) => parameter(&pattern.pat),
        _ => None,
    }
}

fn inline_modules(items: &[syn::Item]) -> impl Iterator<Item = String> {
    items.iter().filter_map(|item| match item {
        syn::Item::Mod(module) => Some(module.ident.to_string()),
        _ => None,
    })
}

/// Names of types and traits.
#[derive(Default)]
struct TypeNames(HashSet<String>);

impl<'ast> Visit<'ast> for TypeNames {
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.0.insert(item.ident.to_string());
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.0.insert(item.ident.to_string());
    }

    fn visit_item_union(&mut self, item: &'ast syn::ItemUnion) {
        self.0.insert(item.ident.to_string());
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.0.insert(item.ident.to_string());
    }
}

/// Fills the index from one file.
struct Collector<'a> {
    index: &'a mut Index,
    source: &'a Source,
    position: usize,
    module: String,
    names: Names<'a>,
}

impl Collector<'_> {
    fn function(&mut self, signature: &syn::Signature) {
        let mut names = self.names.clone();
        names.add(&signature.generics);
        let inputs = signature.inputs.iter();
        let parameters = inputs.filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(input) => Some(parameter(&input.pat)),
        });
        let name = signature.ident.to_string();
        let one = Signature {
            package: self.source.package,
            source: self.position,
            module: self.module.clone(),
            owner: self.names.owner.as_ref().map(|owner| owner.name.clone()),
            name: name.clone(),
            parameters: parameters.collect(),
            method: signature.receiver().is_some(),
            returns: names.returned(&signature.output),
        };
        self.index.functions.entry(name).or_default().push(one);
    }

    fn fields(&mut self, owner: &syn::Ident, generics: &Generics, fields: &Fields) {
        let mut names = self.names.clone();
        names.owner = Some(Type::named(&owner.to_string()));
        names.add(generics);
        for (number, field) in fields.iter().enumerate() {
            let name = field.ident.as_ref().map_or_else(|| number.to_string(), ToString::to_string);
            self.index.fields.insert((owner.to_string(), name), names.read(&field.ty));
        }
    }

    /// Visits what is inside of an `impl` or trait.
    fn within(&mut self, owner: Option<Type>, generics: &Generics, visit: impl FnOnce(&mut Self)) {
        let outer = self.names.clone();
        self.names.owner = owner;
        self.names.add(generics);
        visit(self);
        self.names = outer;
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let outer = std::mem::replace(&mut self.module, item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let owner = self.names.owner.take();
        self.function(&item.sig);
        visit::visit_item_fn(self, item);
        self.names.owner = owner;
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let mut names = self.names.clone();
        names.add(&item.generics);
        let owner = names.read(&item.self_ty);
        if let Some((_, path, _)) = &item.trait_ {
            let implemented = names.path(path).name;
            self.index.implements.entry(owner.name.clone()).or_default().insert(implemented);
        }
        self.within(Some(owner), &item.generics, |this| visit::visit_item_impl(this, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let owner = Type::named(&item.ident.to_string());
        self.within(Some(owner), &item.generics, |this| visit::visit_item_trait(this, item));
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        self.function(&item.sig);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.fields(&item.ident, &item.generics, &item.fields);
    }

    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        let ty = self.names.read(&item.ty);
        self.index.aliases.insert(item.ident.to_string(), ty);
    }
}

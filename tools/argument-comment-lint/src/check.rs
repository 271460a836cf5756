//! Walks through a file, keeps track of what names mean, and looks at the arguments of every call.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, FnArg, Generics, Token};

use crate::comments;
use crate::finding::{Edit, Finding};
use crate::imports::Imports;
use crate::index::Index;
use crate::resolve::{Callee, Resolver};
use crate::rules;
use crate::scope::Scopes;
use crate::types::{Names, Type};
use crate::workspace::Source;

/// What is wrong in `source`, which stands at `position` among the sources of the workspace.
pub(crate) fn check(index: &Index, source: &Source, position: usize) -> Vec<Finding> {
    let imports = Imports::read(&source.file, source.package, &index.surroundings);
    let names = Names { imports: &imports, generics: HashMap::new(), owner: None };
    let resolver =
        Resolver { index, names, scopes: Scopes::default(), package: source.package, source: position };
    let mut checker = Checker { resolver, path: &source.path, text: &source.text, findings: Vec::new() };
    checker.visit_file(&source.file);
    checker.findings
}

struct Checker<'a> {
    resolver: Resolver<'a>,
    path: &'a Path,
    text: &'a str,
    findings: Vec<Finding>,
}

impl Checker<'_> {
    /// Looks at the arguments of a call, which begin after the byte `open`.
    fn arguments(&mut self, callee: &Callee, arguments: &Punctuated<Expr, Token![,]>, open: usize) {
        let mut gap = open;
        for (position, pair) in arguments.pairs().enumerate() {
            self.argument(callee, position, arguments.len(), pair.value(), gap);
            gap = pair.punct().map_or(gap, |comma| comma.span().byte_range().end);
        }
    }

    fn argument(&mut self, callee: &Callee, position: usize, count: usize, argument: &Expr, gap: usize) {
        let named: Option<BTreeSet<&str>> = callee
            .candidates
            .iter()
            .map(|parameters| parameters.get(position).and_then(Option::as_deref))
            .collect();
        let Some(names) = named.filter(|names| !names.is_empty()) else { return };
        let only = names.first().copied().filter(|_| names.len() == 1);
        let start = argument.span().byte_range().start;
        let comment = comments::last(self.text, gap..start);
        let function = &callee.name;
        if let Some(comment) = &comment
            && let Some(given) = comment.parameter()
        {
            if !names.contains(given) {
                let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
                let text = format!("`/*{given}*/` names no such parameter: `{function}` calls it {list}");
                let edit = only.map(|name| Edit::new(comment.range.clone(), format!("/*{name}*/")));
                self.report(argument, text, edit);
            }
            return;
        }
        let Some(name) = only else { return };
        if rules::is_opaque(argument) && !rules::is_evident(callee, count, name) {
            let written = &self.text[argument.span().byte_range()];
            let text = format!(
                "`{written}` doesn't say what `{function}` takes it for: write `/*{name}*/ {written}`"
            );
            let edit = match comment.filter(|comment| comment.is_loosely(name)) {
                Some(comment) => Edit::new(comment.range, format!("/*{name}*/")),
                None => Edit::new(start..start, format!("/*{name}*/ ")),
            };
            self.report(argument, text, Some(edit));
        }
    }

    fn report(&mut self, argument: &Expr, text: String, edit: Option<Edit>) {
        let place = argument.span().start();
        let path = self.path.to_owned();
        self.findings.push(Finding { path, line: place.line, column: place.column + 1, text, edit });
    }

    /// Visits what has variables of its own.
    fn block(&mut self, visit: impl FnOnce(&mut Self)) {
        self.resolver.scopes.enter();
        visit(self);
        self.resolver.scopes.leave();
    }

    /// Visits what stands in braces and is a block, such as an arm of `select!` or a function in `proptest!`.
    fn blocks(&mut self, tokens: TokenStream) {
        // A name outside of the braces may be bound there, in ways that only the macro knows.
        hide(&mut self.resolver.scopes, tokens.clone());
        for token in tokens {
            if let TokenTree::Group(group) = token
                && group.delimiter() == Delimiter::Brace
            {
                match Block::parse_within.parse2(group.stream()) {
                    Ok(statements) => {
                        self.block(|this| statements.iter().for_each(|one| this.visit_stmt(one)))
                    }
                    Err(_) => self.block(|this| this.blocks(group.stream())),
                }
            }
        }
    }

    fn bind(&mut self, pattern: &syn::Pat, ty: &Type) {
        self.resolver.scopes.bind(self.resolver.index, &self.resolver.names, pattern, ty);
    }

    /// Visits what has generic parameters, and perhaps another `Self`, of its own.
    fn generic(&mut self, generics: &Generics, owner: Option<Type>, visit: impl FnOnce(&mut Self)) {
        let outer = self.resolver.names.clone();
        self.resolver.names.owner = owner;
        self.resolver.names.add(generics);
        visit(self);
        self.resolver.names = outer;
    }

    /// Visits the body of a function, which sees no variables of what it stands in.
    fn function(&mut self, signature: &syn::Signature, body: &Block, owner: Option<Type>) {
        let outer = std::mem::take(&mut self.resolver.scopes);
        self.generic(&signature.generics, owner, |this| {
            this.block(|this| {
                for input in &signature.inputs {
                    if let FnArg::Typed(input) = input {
                        let ty = this.resolver.names.read(&input.ty);
                        this.bind(&input.pat, &ty);
                    }
                }
                this.visit_block(body);
            });
        });
        self.resolver.scopes = outer;
    }
}

impl<'ast> Visit<'ast> for Checker<'_> {
    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let callee = self.resolver.call(call);
        self.arguments(&callee, &call.args, call.paren_token.span.open().byte_range().end);
        visit::visit_expr_call(self, call);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let callee = self.resolver.method_call(call);
        self.arguments(&callee, &call.args, call.paren_token.span.open().byte_range().end);
        visit::visit_expr_method_call(self, call);
    }

    /// Macros are looked into where they hold expressions, or blocks amid a language of their own.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if let Ok(expressions) = expressions.parse2(call.tokens.clone()) {
            expressions.iter().for_each(|expression| self.visit_expr(expression));
        } else if !call.path.is_ident("macro_rules") {
            self.block(|this| this.blocks(call.tokens.clone()));
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, /*owner*/ None);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let owner = self.resolver.names.owner.clone();
        self.function(&item.sig, &item.block, owner);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            let owner = self.resolver.names.owner.clone();
            self.function(&item.sig, body, owner);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let mut names = self.resolver.names.clone();
        names.add(&item.generics);
        let owner = names.read(&item.self_ty);
        self.generic(&item.generics, Some(owner), |this| visit::visit_item_impl(this, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        let owner = Type::named(&item.ident.to_string());
        self.generic(&item.generics, Some(owner), |this| visit::visit_item_trait(this, item));
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.block(|this| visit::visit_block(this, block));
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        visit::visit_local(self, local);
        let ty = local.init.as_ref().map_or_else(Type::unknown, |init| self.resolver.type_of(&init.expr));
        self.bind(&local.pat, &ty);
        if let Some(Expr::Closure(closure)) = local.init.as_ref().map(|init| &*init.expr) {
            self.resolver.scopes.bind_closure(&local.pat, closure);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        self.block(|this| {
            closure.inputs.iter().for_each(|input| this.bind(input, &Type::unknown()));
            this.visit_expr(&closure.body);
        });
    }

    fn visit_expr_match(&mut self, item: &'ast syn::ExprMatch) {
        self.visit_expr(&item.expr);
        let ty = self.resolver.type_of(&item.expr);
        for arm in &item.arms {
            self.block(|this| {
                this.bind(&arm.pat, &ty);
                visit::visit_arm(this, arm);
            });
        }
    }

    fn visit_expr_let(&mut self, item: &'ast syn::ExprLet) {
        visit::visit_expr_let(self, item);
        let ty = self.resolver.type_of(&item.expr);
        self.bind(&item.pat, &ty);
    }

    fn visit_expr_if(&mut self, item: &'ast syn::ExprIf) {
        self.block(|this| {
            this.visit_expr(&item.cond);
            this.visit_block(&item.then_branch);
        });
        if let Some((_, otherwise)) = &item.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, item: &'ast syn::ExprWhile) {
        self.block(|this| visit::visit_expr_while(this, item));
    }

    fn visit_expr_for_loop(&mut self, item: &'ast syn::ExprForLoop) {
        self.visit_expr(&item.expr);
        let ty = match self.resolver.type_of(&item.expr) {
            ty if matches!(ty.name.as_str(), "Vec" | "[]") => ty.argument(/*index*/ 0),
            _ => Type::unknown(),
        };
        self.block(|this| {
            this.bind(&item.pat, &ty);
            this.visit_block(&item.body);
        });
    }
}

/// Hides all names outside of braces.
fn hide(scopes: &mut Scopes, tokens: TokenStream) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => scopes.hide(name.to_string()),
            TokenTree::Group(group) if group.delimiter() != Delimiter::Brace => hide(scopes, group.stream()),
            _ => {}
        }
    }
}

/// `a, b, c` or `a; n`: what most macros take.
fn expressions(input: ParseStream<'_>) -> syn::Result<Vec<Expr>> {
    let mut expressions = Vec::new();
    while !input.is_empty() {
        expressions.push(input.parse()?);
        if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
        } else if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(expressions)
}

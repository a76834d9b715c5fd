//! Walks over the syntax trees of policies, without recursion: a tree may be deeper than a stack.

use regorus::unstable::{
    Expr, Import, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead, Span,
};

/// What is met on the way.
#[derive(Clone, Copy)]
pub(crate) enum Node<'a> {
    /// An expression, or a part of one.
    Expr(&'a Expr),
    /// A statement of a body.
    Statement(&'a LiteralStmt),
}

/// Shows `see` every statement and expression below a rule, and answers how deep they lie.
pub(crate) fn rule<'a>(rule: &'a Rule, see: &mut dyn FnMut(Node<'a>)) -> usize {
    let mut next = Vec::new();
    match rule {
        Rule::Spec { head, bodies, .. } => {
            match head {
                RuleHead::Compr { assign, .. } => {
                    next.extend(assign.iter().map(|assign| Node::Expr(&assign.value)));
                }
                RuleHead::Set { key, .. } => next.extend(key.iter().map(|key| Node::Expr(key))),
                RuleHead::Func { args, assign, .. } => {
                    next.extend(args.iter().map(|arg| Node::Expr(arg)));
                    next.extend(assign.iter().map(|assign| Node::Expr(&assign.value)));
                }
            }
            for body in bodies {
                next.extend(body.assign.iter().map(|assign| Node::Expr(&assign.value)));
                next.extend(statements(&body.query));
            }
        }
        Rule::Default { value, .. } => next.push(Node::Expr(value)),
    }
    all(next, see)
}

/// The same below one expression.
pub(crate) fn expr<'a>(expr: &'a Expr, see: &mut dyn FnMut(Node<'a>)) -> usize {
    all(vec![Node::Expr(expr)], see)
}

/// The names of a reference, as `["data", "lib", "f"]`, up to where it depends on a variable.
pub(crate) fn path(expr: &Expr) -> Option<(Vec<&str>, bool)> {
    let mut names = Vec::new();
    let (mut at, mut whole) = (expr, true);
    loop {
        match at {
            Expr::Var { span, .. } => {
                names.push(span.text());
                names.reverse();
                return Some((names, whole));
            }
            Expr::RefDot { refr, field, .. } => {
                names.push(field.0.text());
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                match index.as_ref() {
                    Expr::String { span, .. } | Expr::RawString { span, .. } => {
                        names.push(span.text());
                    }
                    _ => {
                        names.clear();
                        whole = false;
                    }
                }
                at = refr;
            }
            _ => return None,
        }
    }
}

/// Where a reference begins.
pub(crate) fn root(expr: &Expr) -> &Span {
    let mut at = expr;
    while let Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } = at {
        at = refr;
    }
    at.span()
}

/// A module's package, as `maestro.routing`.
pub(crate) fn package(module: &Module) -> String {
    path(&module.package.refr).map(|(names, _)| names.join(".")).unwrap_or_default()
}

/// What an import calls what it imports, and that.
pub(crate) fn import(import: &Import) -> Option<(&str, String)> {
    let (names, _) = path(&import.refr)?;
    let alias = match &import.r#as {
        Some(alias) => alias.text(),
        None => names.last()?,
    };
    Some((alias, names.join(".")))
}

/// The name of the rule, without package or keys, and whether it is a function.
pub(crate) fn name(rule: &Rule) -> Option<(String, bool)> {
    let (refr, function) = match rule {
        Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } => {
            (refr, false)
        }
        Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => (refr, true),
        Rule::Default { refr, args, .. } => (refr, !args.is_empty()),
    };
    let (names, _) = path(refr)?;
    Some((if function { names.join(".") } else { (*names.first()?).to_owned() }, function))
}

fn statements(query: &Ref<Query>) -> impl Iterator<Item = Node<'_>> {
    query.stmts.iter().map(Node::Statement)
}

fn all<'a>(first: Vec<Node<'a>>, see: &mut dyn FnMut(Node<'a>)) -> usize {
    let mut next: Vec<_> = first.into_iter().map(|node| (node, 1)).collect();
    let mut deepest = 0;
    let mut below = Vec::new();
    while let Some((node, depth)) = next.pop() {
        deepest = deepest.max(depth);
        see(node);
        match node {
            Node::Expr(expr) => parts(expr, &mut below),
            Node::Statement(statement) => of_statement(statement, &mut below),
        }
        next.extend(below.drain(..).map(|node| (node, depth + 1)));
    }
    deepest
}

fn parts<'a>(expr: &'a Expr, below: &mut Vec<Node<'a>>) {
    match expr {
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            below.extend(items.iter().map(|item| Node::Expr(item)));
        }
        Expr::Object { fields, .. } => {
            for (_, key, value) in fields {
                below.extend([Node::Expr(key), Node::Expr(value)]);
            }
        }
        Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
            below.push(Node::Expr(term));
            below.extend(statements(query));
        }
        Expr::ObjectCompr { key, value, query, .. } => {
            below.extend([Node::Expr(key), Node::Expr(value)]);
            below.extend(statements(query));
        }
        Expr::Call { params, .. } => below.extend(params.iter().map(|param| Node::Expr(param))),
        Expr::UnaryExpr { expr, .. } => below.push(Node::Expr(expr)),
        Expr::RefDot { refr, .. } => below.push(Node::Expr(refr)),
        Expr::RefBrack { refr, index, .. } => below.extend([Node::Expr(refr), Node::Expr(index)]),
        Expr::BinExpr { lhs, rhs, .. }
        | Expr::BoolExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. }
        | Expr::AssignExpr { lhs, rhs, .. } => below.extend([Node::Expr(lhs), Node::Expr(rhs)]),
        Expr::Membership { key, value, collection, .. } => {
            below.extend(key.iter().map(|key| Node::Expr(key)));
            below.extend([Node::Expr(value), Node::Expr(collection)]);
        }
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. }
        | Expr::Var { .. } => {}
    }
}

fn of_statement<'a>(statement: &'a LiteralStmt, below: &mut Vec<Node<'a>>) {
    match &statement.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { key, value, collection, .. } => {
            below.extend(key.iter().map(|key| Node::Expr(key)));
            below.extend([Node::Expr(value), Node::Expr(collection)]);
        }
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => below.push(Node::Expr(expr)),
        Literal::Every { domain, query, .. } => {
            below.push(Node::Expr(domain));
            below.extend(statements(query));
        }
    }
    below.extend(statement.with_mods.iter().map(|with| Node::Expr(&with.r#as)));
}

import Delivery
import Mail

/// Reads the file of rules by which receivers' replies are understood.
enum ReplyRuleFile {
    /// - Parameter path: nil for the built-in file.
    /// - Returns: nil when something was wrong; `problems` says what, with file, line and rule.
    static func load(_ path: String?, _ problems: Problems) -> ReplyRules? {
        guard let path else { return builtIn(problems) }
        return YAMLFile.read(path, problems).flatMap { decode($0, problems) }
    }

    private static func builtIn(_ problems: Problems) -> ReplyRules? {
        let text = String(decoding: PackageResources.replies_yaml, as: UTF8.self)
        return YAMLFile.parse(text, file: "built-in replies.yaml", problems).flatMap { decode($0, problems) }
    }

    static func decode(_ file: Field, _ problems: Problems) -> ReplyRules? {
        let rules = file.section { section in
            section.required("rules")?.list(atLeast: 1, atMost: 5_000) { field in
                rule(field).map { (field: field, rule: $0) }
            }
        }
        guard let rules = rules ?? nil, problems.isEmpty else { return nil }
        do throws(ReplyRuleError) {
            return try ReplyRules(rules.map(\.rule))
        } catch {
            rules[error.index].field.complain(error.description)
            return nil
        }
    }

    private static func rule(_ field: Field) -> ReplyRule? {
        let read = field.section { section -> ReplyRule? in
            let id = section.required("id")?.string("the rule's name")
            let cause = section.required("cause")?.word(Cause.self)
            let source = section.required("source")?.string("where the claim comes from")
            let examples = section.required("examples")?.list(atLeast: 1) {
                $0.string("a reply such as 550 5.7.1 text")
            }
            let sites = section.optional("sites")?.list { $0.string("a receiver's name or domain")?.lowercased() }
            let phases = section.optional("phases")?.list { phase($0) }
            let codes = section.optional("codes")?.list { $0.value("a code such as 550 or 5xx", ReplyRule.Code.init) }
            let statuses = section.optional("statuses")?.list {
                $0.value("an enhanced status such as 5.7.1 or *.7.*", ReplyRule.Status.init)
            }
            let patterns = section.optional("patterns")?.list { $0.string("a pattern") }
            let unless = section.optional("unless")?.list { $0.string("a pattern") }
            let hold = section.optional("hold")?.span(.seconds(1)...(.days(7)))
            guard let id, let cause, let source, let examples else { return nil }
            var rule = ReplyRule(id: id, cause: cause, source: source, examples: examples)
            rule.sites = sites ?? []
            rule.phases = phases ?? []
            rule.codes = codes ?? []
            rule.statuses = statuses ?? []
            rule.patterns = patterns ?? []
            rule.unless = unless ?? []
            rule.hold = hold
            return rule
        }
        return read ?? nil
    }

    private static func phase(_ field: Field) -> Phase? {
        let names = Phase.allCases.map(\.description)
        return field.value("one of \(names.joined(separator: ", "))") { text in
            Phase.allCases.first { $0.description == text }
        }
    }
}

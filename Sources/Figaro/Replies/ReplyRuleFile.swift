import Delivery
import Mail

/// Reads the file of rules by which receivers' replies are understood.
enum ReplyRuleFile {
    /// - Parameter path: nil for the built-in file.
    /// - Returns: nil when something was wrong; `problems` says what, with file, line and key.
    static func load(_ path: String?, _ problems: Problems) -> ReplyRules? {
        guard let path else { return builtIn(problems) }
        return YAMLFile.read(path, problems).flatMap { decode($0, problems) }
    }

    private static func builtIn(_ problems: Problems) -> ReplyRules? {
        YAMLFile.parse(BuiltInFile.replies, file: "built-in replies.yaml", problems).flatMap { decode($0, problems) }
    }

    /// What words weigh where no rule fits, whatever rules are used.
    static let weights = (try? WordWeights(BuiltInFile.replyWords)) ?? .none

    static func decode(_ file: Field, _ problems: Problems) -> ReplyRules? {
        let read = file.section { section in
            let lists = section.optional("words").map(lists) ?? [:]
            let rules = section.required("rules")?.list(atLeast: 1, atMost: 5_000) { rule($0) }
            return rules.map { (lists: lists, rules: $0) }
        }
        guard let (lists, rules) = read ?? nil, problems.isEmpty else { return nil }
        do throws(ReplyRuleError) {
            return try ReplyRules(rules.map(\.rule), lists: lists, weights: weights)
        } catch {
            let rule = rules[error.index]
            (error.key.flatMap { rule.places[$0] } ?? rule.field).complain(error.description)
            return nil
        }
    }

    /// Words that stand for one another, by name.
    private static func lists(_ field: Field) -> [String: [String]] {
        let lists = field.section { section in
            section.entries().map { name, key, value in
                if !name.utf8.allSatisfy({ (97...122).contains($0) || (48...57).contains($0) || $0 == 45 }) {
                    key.complain("the name of a list of words has small letters, digits and - only")
                }
                let words = value.list(atLeast: 1, atMost: 400) { field in
                    field.value("words without any of ( ) { } | * and ...") { text in
                        let signs = text.contains { "(){}|*".contains($0) } || text.contains("...")
                        return signs || text.allSatisfy { $0 == " " || $0 == "~" } ? nil : text
                    }
                }
                return (name, words ?? [])
            }
        }
        return Dictionary(lists ?? []) { first, _ in first }
    }

    /// A rule and where its parts stand in the file.
    private struct Placed {
        var rule: ReplyRule
        var field: Field
        /// By key within the rule: `patterns[1]`.
        var places: [String: Field]
    }

    private static func rule(_ field: Field) -> Placed? {
        var places: [String: Field] = [:]
        func texts(_ list: Field?, _ what: String, atLeast: Int = 0) -> [String]? {
            list?.list(atLeast: atLeast) { entry in
                places[String(entry.path.dropFirst(field.path.count + 1))] = entry
                return entry.string(what)
            }
        }
        let read = field.section { section -> ReplyRule? in
            for key in ["id", "disputed", "refuses_unknown", "per_source"] { places[key] = section.optional(key) }
            let id = section.required("id")?.string("the rule's name")
            let cause = section.required("cause")?.word(Cause.self)
            let source = section.required("source")?.string("where the claim comes from")
            let examples = texts(section.required("examples"), "a reply such as 550 5.7.1 text", atLeast: 1)
            let sites = section.optional("sites")?.list { self.sites($0) }?.flatMap { $0 }
            let phases = section.optional("phases")?.list { phase($0) }
            let codes = section.optional("codes")?.list { $0.value("a code such as 550 or 5xx", ReplyRule.Code.init) }
            let statuses = section.optional("statuses")?.list {
                $0.value("an enhanced status such as 5.7.1 or *.7.*", ReplyRule.Status.init)
            }
            let patterns = texts(section.optional("patterns"), "a pattern")
            let unless = texts(section.optional("unless"), "a pattern")
            let hold = section.optional("hold")?.span(.seconds(1)...(.days(7)))
            let isDisputed = section.optional("disputed")?.bool()
            let refusesUnknown = section.optional("refuses_unknown")?.bool()
            guard let id, let cause, let source, let examples else { return nil }
            var rule = ReplyRule(id: id, cause: cause, source: source, examples: examples)
            rule.sites = sites ?? []
            rule.phases = phases ?? []
            rule.codes = codes ?? []
            rule.statuses = statuses ?? []
            rule.patterns = patterns ?? []
            rule.unless = unless ?? []
            rule.hold = hold
            rule.isDisputed = isDisputed ?? false
            rule.isPerSource = section.optional("per_source")?.bool() ?? false
            rule.refusesUnknown = refusesUnknown ?? false
            rule.place = field.place
            return rule
        }
        return (read ?? nil).map { Placed(rule: $0, field: field, places: places) }
    }

    /// The suffixes of a well-known receiver's hosts by its name in sites.yaml, or a name of one's own.
    private static func sites(_ field: Field) -> [String]? {
        guard let name = field.string("a receiver's name or domain")?.lowercased() else { return nil }
        if name.contains(".") { return [name] }
        guard let known = receivers[name] else {
            let names = receivers.keys.sorted().joined(separator: ", ")
            field.complain("“\(name)” is neither a domain nor one of \(names)")
            return nil
        }
        return known
    }

    private static let receivers = Dictionary(
        SiteFile.builtIn(Problems()).map { ($0.name, $0.hosts) }, uniquingKeysWith: { first, _ in first })

    private static func phase(_ field: Field) -> Phase? {
        let names = Phase.allCases.map(\.description)
        return field.value("one of \(names.joined(separator: ", "))") { text in
            Phase.allCases.first { $0.description == text }
        }
    }
}

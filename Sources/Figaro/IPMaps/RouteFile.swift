import Delivery
import Mail
import Yams

/// Decodes one entry of `routes:` of an ipmap.
enum RouteFile {
    /// `{ when: { customer: acme }, steps: [pool main/4, relay provider/24h] }`; `when: named` is for customers whose
    /// accounts name the route.
    static func decode(_ field: Field) -> RouteDeclaration? {
        let read = field.section { route -> RouteDeclaration? in
            let when = route.optional("when")
            let steps = route.required("steps")?.list(atLeast: 1, atMost: 32, step)
            guard let when else { return steps.map { RouteDeclaration(steps: $0, when: nil) } }
            guard let condition = condition(when), let steps else { return nil }
            return RouteDeclaration(steps: steps, when: (condition, when))
        }
        return read ?? nil
    }

    private static func condition(_ when: Field) -> IPMap.Condition? {
        if case .scalar(let scalar) = when.node, scalar.string == named { return IPMap.Condition() }
        return when.section { section in
            var condition = IPMap.Condition()
            if let sender = section.optional("sender") {
                condition.nullSender = sender.value("<>, the sender of notices", { $0 == "<>" ? $0 : nil }) != nil
            }
            condition.customers = names(section.optional("customer")) { $0.string("the name of a customer") }
            condition.senderDomains = names(section.optional("sender_domain"), domain)
            condition.recipientDomains = names(section.optional("recipient_domain"), domain)
            condition.sites = names(section.optional("site")) {
                $0.string("the name of a receiver, or one that its MX hosts have or lie below")?.lowercased()
            }
            condition.verdicts = names(section.optional("verdict")) { $0.word(Screening.Verdict.self)?.rawValue }
            if let domains = section.optional("sender_domain"), condition.nullSender {
                domains.complain("does not go with “sender: <>”, which has no domain")
            }
            if condition.isEmpty { when.complain("names no condition") }
            return condition
        }
    }

    /// One name, or a list of them.
    private static func names(_ field: Field?, _ read: (Field) -> String?) -> Set<String> {
        guard let field else { return [] }
        if field.isList { return Set(field.list(atLeast: 1, read) ?? []) }
        return Set([read(field)].compactMap(\.self))
    }

    /// `shop.example`, or `*.shop.example` for all below it.
    private static func domain(_ field: Field) -> String? {
        guard let text = field.string("a domain such as shop.example, or *.shop.example for those below it") else {
            return nil
        }
        if let fault = HostName.fault(in: text.hasPrefix("*.") ? String(text.dropFirst(2)) : text) {
            field.complain("“\(text)” is not a valid domain: \(fault)")
            return nil
        }
        return text.lowercased()
    }

    /// `pool main/4` or `relay provider/24h`
    private static func step(_ field: Field) -> StepDeclaration? {
        let what = "a step such as pool main/4 (up to four sources of that pool) or relay provider/24h"
        guard let text = field.string(what) else { return nil }
        let words = text.split(separator: " ")
        let parts = words.count == 2 ? words[1].split(separator: "/", omittingEmptySubsequences: false) : []
        switch (words.first, parts.count) {
        case ("pool", 2) where !parts[0].isEmpty:
            guard let budget = Int(parts[1]) else { break }
            guard (1...1_000).contains(budget) else {
                field.complain("the budget must be from 1 to 1000 sources, found \(budget)")
                return nil
            }
            return StepDeclaration(step: .pool(String(parts[0]), budget: budget), place: field)
        case ("relay", 1...2) where !parts[0].isEmpty:
            guard let span = parts.count == 1 ? Self.within : Units.span(String(parts[1])) else { break }
            guard (.seconds(1)...(.days(30))).contains(span) else {
                field.complain("a relay is tried from 1s to 30d, found \(parts[1])")
                return nil
            }
            return StepDeclaration(step: .relay(String(parts[0]), within: span), place: field)
        default: break
        }
        field.complain("expected \(what), found “\(text)”")
        return nil
    }

    private static let named = "named"

    /// How long a relay is tried where the step does not say.
    private static let within = Timestamp.Span.hours(24)
}

import Delivery
import Mail

/// Decodes one file of `ipmaps/`.
enum IPMapFile {
    static func decode(_ file: Field, into map: inout IPMapDeclarations) {
        _ = file.section { section in
            named(section.optional("ranges")) {
                map.ranges.add($0, at: $1, $2)
            } decode: {
                range($0)
            }
            named(section.optional("sources")) {
                map.sources.add($0, at: $1, $2)
            } decode: {
                source($0)
            }
            named(section.optional("pools")) {
                map.pools.add($0, at: $1, $2)
            } decode: {
                pool($0)
            }
            named(section.optional("relays")) {
                map.relays.add($0, at: $1, $2)
            } decode: {
                RelayFile.decode($0)
            }
            named(section.optional("routes")) {
                map.routes.add($0, at: $1, $2)
            } decode: {
                RouteFile.decode($0)
            }
            SiteFile.decode(section.optional("sites"), into: &map)
        }
    }

    /// Reads a mapping whose keys are names of the operator's choice.
    private static func named<Value>(
        _ field: Field?, add: (String, Field, Value) -> Void, decode: (Field) -> Value?
    ) {
        _ = field?.section { section in
            for entry in section.entries() where isName(entry.name, entry.key) {
                if let value = decode(entry.value) { add(entry.name, entry.key, value) }
            }
        }
    }

    static func isName(_ name: String, _ key: Field) -> Bool {
        let allowed = name.utf8.allSatisfy {
            (97...122).contains($0) || (65...90).contains($0) || (48...57).contains($0) || $0 == 45 || $0 == 95
        }
        if !allowed || name.isEmpty || name.utf8.count > 64 || name.hasPrefix("-") {
            key.complain("a name consists of letters, digits, - and _, begins with none of - and has at most 64")
            return false
        }
        return true
    }

    private static func range(_ field: Field) -> RangeDeclaration? {
        let read = field.section { section -> RangeDeclaration? in
            if let node = section.optional("node") {
                node.complain("not supported yet: ranges of several nodes come with the cluster; leave it out")
            }
            let ehlo = section.optional("ehlo")
            guard let interface = section.optional("interface") else { return network(section, ehlo) }
            for name in ["cidr", "exclude", "one_per", "count"] {
                section.optional(name)?.complain("does not go with “interface”, which names its addresses by itself")
            }
            guard let name = interface.string("the name of an interface such as eth0, or any") else { return nil }
            return RangeDeclaration(
                addresses: .interface(name == "any" ? nil : name),
                ehlo: ehlo.flatMap { EHLOTemplate.decode($0, isIPv4: nil) })
        }
        return read ?? nil
    }

    private static func network(_ section: Section, _ ehlo: Field?) -> RangeDeclaration? {
        let exclude = section.optional("exclude")
        let onePer = section.optional("one_per")
        let count = section.optional("count")
        guard let cidr = section.optional("cidr") else {
            section.whole.complain("needs “cidr” (a network) or “interface” (eth0, or any)")
            return nil
        }
        if ehlo == nil { section.whole.complain("“ehlo” is missing; for example out-{4}.relay.example") }
        guard let network = cidr.network() else { return nil }
        let isIPv4 = network.base.isIPv4
        let excluded = exclude?.list { field -> IPNetwork? in
            guard let one = field.network() else { return nil }
            guard network.contains(one.base), one.prefix >= network.prefix else {
                field.complain("\(one) does not lie in \(network)")
                return nil
            }
            return one
        }
        if isIPv4 { onePer?.complain("is for IPv6; receivers judge IPv4 by the single address") }
        return RangeDeclaration(
            addresses: .network(
                network, exclude: excluded ?? [], onePer: isIPv4 ? nil : onePer?.int(network.prefix...128),
                count: count?.int(1...RangeExpansion.limit)),
            ehlo: ehlo.flatMap { EHLOTemplate.decode($0, isIPv4: isIPv4) })
    }

    private static func source(_ field: Field) -> SourceDeclaration? {
        let read = field.section { section -> SourceDeclaration? in
            let reason = section.optional("reason")?.string("a reason in words")
            guard let state = section.required("state")?.word(SourceState.self) else { return nil }
            return SourceDeclaration(state: state, reason: reason)
        }
        return read ?? nil
    }

    private static func pool(_ field: Field) -> PoolDeclaration? {
        let read = field.section { section -> PoolDeclaration? in
            _ = section.optional("select")?.word(PoolDeclaration.Selection.self)
            let minimum = section.optional("minimum_active")?.int(0...RangeExpansion.limit)
            let messages = section.optional("messages_per_session")?.int(1...10_000)
            let cooldown = section.optional("cooldown")?.list(atLeast: 1, atMost: 16) {
                $0.span(.seconds(1)...(.days(7)))
            }
            let members = section.required("members")?.list(atLeast: 1) { member in
                member.string("the name of a range or of a source").map { (name: $0, place: member) }
            }
            guard let members else { return nil }
            return PoolDeclaration(
                members: members, minimumActive: minimum ?? 0,
                messagesPerSession: messages ?? PoolDeclaration.messagesPerSession,
                cooldown: cooldown ?? PoolDeclaration.cooldown)
        }
        return read ?? nil
    }
}

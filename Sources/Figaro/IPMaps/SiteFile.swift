import Delivery
import Mail

/// Decodes `sites:` of an ipmap: a fixed way for a domain, and how much a receiver takes.
enum SiteFile {
    /// The built-in limits of well-known receivers, which an ipmap's entry of the same name replaces.
    static func builtIn(_ problems: Problems) -> [SiteRule] {
        var declared = IPMapDeclarations()
        let file = YAMLFile.parse(BuiltInFile.sites, file: "built-in sites.yaml", problems)
        _ = file?.section { decode($0.optional("sites"), into: &declared) }
        return declared.rules.entries.map(\.value)
    }

    static func decode(_ field: Field?, into map: inout IPMapDeclarations) {
        _ = field?.section { section in
            for entry in section.entries() {
                _ = entry.value.section { site in
                    if let hosts = site.optional("mx") {
                        receiver(entry.name, entry.key, hosts, site, into: &map)
                    } else {
                        domain(entry.name, entry.key, site, into: &map)
                    }
                }
            }
        }
    }

    /// `google: { mx: [google.com], sessions: 20 }`
    private static func receiver(
        _ name: String, _ key: Field, _ hosts: Field, _ site: Section, into map: inout IPMapDeclarations
    ) {
        for name in ["host", "port", "tls"] {
            site.optional(name)?.complain("does not go with “mx”: a fixed way is for one domain")
        }
        let limits = limits(site)
        let names = hosts.list(atLeast: 1, atMost: 256) { field -> String? in
            guard let name = field.hostName() else { return nil }
            if let other = map.suffixes.updateValue(field.place, forKey: name) {
                field.complain("“\(name)” has limits already, in \(other)")
            }
            return name
        }
        guard IPMapFile.isName(name, key), let names else { return }
        map.rules.add(name, at: key, SiteRule(name: name, hosts: names, limits: limits))
    }

    /// `partner.example: { host: mx.partner.example, port: 2525, sessions: 2 }`
    private static func domain(_ name: String, _ key: Field, _ site: Section, into map: inout IPMapDeclarations) {
        if let fault = HostName.fault(in: name) {
            key.complain("is not a valid domain: \(fault); limits of a receiver by its hosts need “mx”")
        }
        let name = name.lowercased()
        let limits = limits(site)
        if !limits.isEmpty { map.rules.add(name, at: key, SiteRule(name: name, limits: limits)) }
        let port = site.optional("port")
        let tls = site.optional("tls")
        guard let host = site.optional("host") else {
            for field in [port, tls] { field?.complain("goes with “host” only") }
            if limits.isEmpty { site.whole.complain("“host” is missing; \(needsLimits)") }
            return
        }
        let fixed = IPMap.FixedSite(
            host: hostOrAddress(host) ?? "", port: port?.int(1...65_535) ?? 25,
            tls: (tls?.word(TLSWord.self) ?? .opportunistic).need)
        map.sites.add(name, at: key, fixed)
    }

    private static let needsLimits = "or at least one of “sessions”, “messages_per_session” and “rate”"

    static func limits(_ site: Section) -> SiteLimits {
        SiteLimits(
            sessions: site.optional("sessions")?.int(1...100_000),
            messagesPerSession: site.optional("messages_per_session")?.int(1...10_000),
            rate: site.optional("rate")?.value("a rate such as 100/s, 600/m, 1000/h or 5000/d", rate))
    }

    private static let spans: [Substring: Timestamp.Span] = [
        "s": .seconds(1), "m": .minutes(1), "h": .hours(1), "d": .days(1),
    ]

    private static func rate(_ text: String) -> SiteLimits.Rate? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let span = spans[parts[1]], parts[0].utf8.allSatisfy({ (48...57).contains($0) }),
            let messages = Int(parts[0]), (1...10_000_000).contains(messages)
        else { return nil }
        return SiteLimits.Rate(messages: messages, per: span)
    }

    static func hostOrAddress(_ field: Field) -> String? {
        guard let text = field.string("a host name or an address") else { return nil }
        return IPAddress(text).map(\.description) ?? field.hostName()
    }

    enum TLSWord: String, CaseIterable {
        case opportunistic, required, none

        var need: TLSNeed {
            switch self {
            case .opportunistic: .opportunistic
            case .required: .required
            case .none: .none
            }
        }
    }
}

package import Mail

/// What an operator's `ipmaps/` say, checked and expanded: which sources there are and how mail may use them.
package struct IPMap: Sendable {
    package var pools: [String: Pool]
    /// By name; `default` is always there.
    package var routes: [String: Route]
    /// By name.
    package var relays: [String: Relay]
    /// A fixed way for a domain, by lower-cased domain.
    package var sites: [String: FixedSite]
    /// How much receivers take; of two rules for the same one the first counts.
    package var rules: [SiteRule]

    package init(
        pools: [String: Pool], routes: [String: Route], relays: [String: Relay] = [:], sites: [String: FixedSite],
        rules: [SiteRule] = []
    ) {
        self.pools = pools
        self.routes = routes
        self.relays = relays
        self.sites = sites
        self.rules = rules
    }

    package struct Pool: Sendable {
        package var name: String
        /// Those that may send, in the order of the files.
        package var sources: [Source]
        /// 1 or more.
        package var messagesPerSession: Int
        /// How long a source rests for a site that refused it, the first time and each further time in a row, the last
        /// one repeats; empty: as the planner is configured.
        package var cooldown: [Timestamp.Span]

        package init(
            name: String, sources: [Source], messagesPerSession: Int = 20, cooldown: [Timestamp.Span] = []
        ) {
            self.name = name
            self.sources = sources
            self.messagesPerSession = messagesPerSession
            self.cooldown = cooldown
        }
    }

    package struct FixedSite: Sendable, Hashable {
        /// A name or an address.
        package var host: String
        package var port: Int
        package var tls: TLSNeed

        package init(host: String, port: Int, tls: TLSNeed) {
            self.host = host
            self.port = port
            self.tls = tls
        }
    }
}

/// What a session demands of TLS.
package enum TLSNeed: String, Sendable, Hashable, CaseIterable {
    /// STARTTLS where offered, without checking the certificate; in the clear where it is not (RFC 7435).
    case opportunistic
    /// A verified certificate, or no session.
    case required
    /// The same, from the first octet on (RFC 8314 section 3.3); of a relay alone.
    case implicit
    /// Never asks for it.
    case none
}

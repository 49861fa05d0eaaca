package import Mail
import NIOCore

/// Resolves with libunbound, behind a cache of resolved domains.
///
/// ``cached(_:)`` reads the cache under one short lock. ``resolve(_:then:)`` hands over to the resolver's own thread,
/// which asks libunbound (on a thread of its own again), keeps one lookup for each domain however many wait for it,
/// and calls `then`. After ``close()`` every answer is `.later`.
package final class UnboundResolver: Resolver {
    package struct Configuration: Sendable, Hashable {
        /// Servers to forward to, such as `127.0.0.1:5353` or `[::1]:5353`; none means those of `/etc/resolv.conf`.
        package var servers: [String] = []
        /// Asks the root servers and down instead of forwarding, when there are no servers.
        package var recursive = false
        /// The root servers' names and addresses, as `named.root`; nil means those built into libunbound.
        package var rootHints: String?
        /// A file with DS or DNSKEY records of the root; without one nothing is validated and no answer is secure.
        package var trustAnchor: String?
        /// After which an answer is `.later`.
        package var timeout = Timestamp.Span.seconds(20)
        /// Domains in the cache. An entry takes some 500 bytes, so 100,000 take about 50 MB.
        package var cachedDomains = 100_000
        /// Lookups under way at a time; each has up to twenty questions out. At 50 ms each these are 5,000 domains a
        /// second.
        package var lookupsUnderWay = 256
        /// Domains that wait for their turn; beyond it the answer is `.later` at once.
        package var lookupsWaiting = 50_000

        package init() {}
    }

    /// Why a resolver cannot be made from a configuration.
    package enum SetupError: Error, Hashable, CustomStringConvertible {
        /// Not `address`, `address:port` or `[address]:port`.
        case server(String)
        /// A file that cannot be read, and why.
        case file(String, String)
        case unbound(String)

        package var description: String {
            switch self {
            case .server(let text): "dns server \"\(text)\" is not address:port"
            case .file(let file, let why): "\(file): \(why)"
            case .unbound(let why): "libunbound: \(why)"
            }
        }
    }

    private let cache: ResolvedDomains
    private let requests: LookupRequests

    package init(_ configuration: Configuration = Configuration()) throws(SetupError) {
        cache = ResolvedDomains(capacity: configuration.cachedDomains)
        requests = LookupRequests()
        let thread = ResolverThread(
            context: try UnboundContext(configuration), configuration: configuration, cache: cache, requests: requests)
        guard thread.start() else { throw .unbound("cannot start a thread") }
    }

    deinit {
        requests.close()
    }

    package func cached(_ domain: String) -> Resolution? {
        cache.find(domain, at: .now())
    }

    package func resolve(_ domain: String, then: @escaping @Sendable (Resolution) -> Void) {
        requests.add(LookupRequests.Request(domain: domain, then: then))
    }

    package func resolve(host: String, then: @escaping @Sendable (Resolution) -> Void) {
        resolve(InquiryKey.host(host), then: then)
    }

    /// Finds the name of a client that its PTR record gives it and that leads back to it (RFC 8601 section 3, `iprev`).
    ///
    /// - Parameter then: is called exactly once, within the resolver's deadline, on any thread, at once where the name
    ///   is in the cache; with nil where there is no such name, where it could not be found, and for this machine
    ///   itself, of which the DNS knows nothing.
    package func name(of client: IPAddress, then: @escaping @Sendable (String?) -> Void) {
        guard !client.isLoopback else { return then(nil) }
        let key = InquiryKey.client(client)
        if let known = cached(key) { return then(known.onlyName) }
        resolve(key) { then($0.onlyName) }
    }

    /// Ends the thread; whoever still waits is told `.later`.
    package func close() {
        requests.close()
    }

    /// How many domains are in the cache, fresh or not.
    package var cachedDomains: Int { cache.count }
}

extension Resolution {
    fileprivate var onlyName: String? {
        if case .hosts(let hosts) = self { hosts.hosts.first?.name } else { nil }
    }
}

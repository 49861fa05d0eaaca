import DNS
import Mail

/// Where a host listens: what is known of it holds for every domain that it serves, under whatever name.
struct HostPlace: Hashable {
    var address: IPAddress
    var port: Int
}

/// What is known of one host.
struct HostMemory {
    /// It took no session: set aside until then.
    var rests: Timestamp?
    /// How often in a row it was set aside; the index into the schedule.
    var failures = 0
    /// TLS could not be agreed on: asked for none until then, where no policy asks for it.
    var withoutTLS: Timestamp?
    /// What it offered, believed until then.
    var offers: (HostOffers, until: Timestamp)?
    /// Until when that is believed as far as the store knows.
    var keptUntil: Timestamp?

    /// What is believed for so much longer is written again.
    private static let renewal = Timestamp.Span.minutes(30)
    /// How long a host's offer is believed, and how long it is asked for no TLS after that failed.
    static let freshness = Timestamp.Span.hours(1)

    /// It says something else, or has to be believed for much longer than what was kept.
    func isNews(after old: HostMemory?) -> Bool {
        guard let old else { return true }
        guard old.rests == rests, old.failures == failures, old.withoutTLS == withoutTLS else { return true }
        guard let offers, let before = old.offers else { return true }
        return before.0 != offers.0 || offers.until - (keptUntil ?? Timestamp(milliseconds: 0)) > Self.renewal
    }

    func isOver(at now: Timestamp) -> Bool {
        (rests ?? now) <= now && (withoutTLS ?? now) <= now && (offers?.until ?? now) <= now
    }
}

/// What a host offered in its answer to EHLO, as far as it decides whether a message can go there.
package struct HostOffers: Sendable, Hashable {
    /// RFC 6531.
    package var utf8: Bool
    /// RFC 6152.
    package var eightBit: Bool
    /// Octets of content it takes (RFC 1870); nil where it named no limit.
    package var size: Int?

    package init(utf8: Bool, eightBit: Bool, size: Int?) {
        self.utf8 = utf8
        self.eightBit = eightBit
        self.size = size
    }

    /// A host that takes everything.
    package static let all = HostOffers(utf8: true, eightBit: true, size: nil)
}

extension Planner {
    func memory(of address: IPAddress, at site: Site) -> HostMemory? {
        hosts[HostPlace(address: address, port: site.key.port)]
    }

    mutating func remember(_ address: IPAddress, at site: Site, _ change: (inout HostMemory) -> Void) {
        let place = HostPlace(address: address, port: site.key.port)
        let old = hosts[place]
        var memory = old ?? HostMemory()
        change(&memory)
        if memory.isNews(after: old) {
            changedHosts.insert(place)
            memory.keptUntil = memory.offers?.until
        }
        hosts[place] = memory
    }

    func rests(_ address: IPAddress, at site: Site) -> Bool {
        (memory(of: address, at: site)?.rests ?? now) > now
    }

    /// When the first of the site's hosts may be tried again; nil when none is set aside.
    func restEnds(at site: Site) -> Timestamp? {
        site.hosts.flatMap(\.addresses).compactMap { memory(of: $0, at: site)?.rests }.filter { $0 > now }.min()
    }

    mutating func forgetQuietHosts() {
        guard hosts.count > forgetHostsAbove else { return }
        let now = now
        hosts = hosts.filter { _, memory in !memory.isOver(at: now) }
        forgetHostsAbove = max(10_000, hosts.count * 2)
    }
}

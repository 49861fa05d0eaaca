import DNS
import DequeModule
import Mail
import Queue

/// A set of MX hosts (or the fixed way of an ip map): what a session may be reused for, and what waits for it. What is
/// known about the way there belongs to its ``Receiver``, which many of them may share.
final class Site {
    let key: SiteKey
    /// May be another one after a reload, or when other hosts take the mail.
    var receiver: Receiver
    var hosts: [HostSet.Host]
    /// What limits it, with what other sites use of it; nil where only the node's limits count.
    var allowance: Allowance?
    /// It waits for the next tick to be looked at again; see ``Planner/paced``.
    var isPaced = false
    var plain = FairQueue<Parcel>()
    /// Parcels that may not use every source.
    var picky = FairQueue<Parcel>()
    /// The last parcel that began, and the last that a session was opened for, was picky: the next need not be.
    var servedPicky = false
    var openedForPicky = false
    /// Open sessions without a transaction; the last was used last.
    var idle: [OpenSession] = []
    var opening = 0
    /// Opening, busy and idle ones.
    var sessions = 0
    /// Addresses that the rule on where to connect forbids.
    var forbidden: Set<IPAddress> = []
    /// Sessions of it that probe.
    var probes = 0
    var blocked: Block?
    /// It took no further session while it had this many; believed until then.
    var enough: (sessions: Int, until: Timestamp)?
    /// How often in a row it was found blocked; the index into the schedule.
    var failures = 0
    /// Domains of this site with more due works in the store.
    var domainsWithMore = DomainLine()
    /// Works in memory for it.
    var works = 0
    /// It waits for its turn to open a session; see ``Planner/crowdedOut``.
    var isCrowdedOut = false
    /// It took a session, and has not been without a host that does since.
    var proven = false
    /// It was without such a host when it was last tried, or the store remembers that a domain of it was.
    var failing = false
    /// The customer of the new mail that waits here, the latest; nil where all was read back from the store.
    var claimant: String?
    /// Where it stands in line for a session.
    var lines: Set<Trials.Kind> = []

    init(key: SiteKey, hosts: [HostSet.Host], receiver: Receiver, allowance: Allowance? = nil) {
        self.key = key
        self.receiver = receiver
        self.hosts = hosts
        self.allowance = allowance
    }

    /// Nothing can be sent there before `until`.
    struct Block {
        enum Kind {
            /// It does not answer, or is not to be found.
            case receiver
            /// Its rate is used up.
            case rate
            /// No source may be used for it.
            case sources
            /// An operator wants nothing sent there.
            case suspended
        }

        var until: Timestamp
        var why: String
        var kind = Kind.receiver
        /// Because of what an operator said.
        var isOperators = false
    }

    /// As traces name it: the host that mail goes to first.
    var name: String { hosts.first?.name ?? key.hosts }

    var waiting: Int { plain.count + picky.count }

    func waiting(of customer: String) -> Int { plain.count(of: customer) + picky.count(of: customer) }

    /// What a session to it would be opened for; nil where it is known to take mail.
    var trial: Trials.Kind? {
        if proven { return nil }
        if claimant != nil { return .fresh }
        return failing ? .failing : .old
    }

    /// A customer of which something waits.
    var customerInFront: String { (plain.some(1).first ?? picky.some(1).first)?.message.customer ?? "" }

    /// How many sessions it may have now.
    func limit(_ configured: Int, at now: Timestamp) -> Int {
        let configured = allowance?.rule.limits.sessions ?? configured
        guard let enough, enough.until > now else { return configured }
        return min(configured, enough.sessions)
    }
}

/// What makes two domains the same site.
struct SiteKey: Hashable {
    var hosts: String
    var port: Int
    var tls: TLSNeed
    /// The domain that has limits of its own, and therefore shares no session with others.
    var domain: String?
    /// The relay that it is.
    var relay: String?
}

/// A session from the planner's side.
final class OpenSession {
    let id: SessionID
    let site: Site
    /// What it counts for; those of its site may be others after a reload.
    let allowance: Allowance?
    let receiver: Receiver
    /// Nothing further begins on it.
    var isRetired = false
    /// Index of the source.
    let source: Int
    let plan: SessionPlan
    /// Messages it may carry.
    let limit: Int
    /// It is to show whether the receiver takes the source, or its range, again.
    var isProbe = false
    /// Its site was not proven when it was opened; nil once that is decided.
    var trial: Trials.Kind?
    var opened: Timestamp?
    var idleSince: Timestamp?
    /// Its neighbours among all that are idle; kept by ``IdleSessions``.
    var idleBefore: OpenSession?
    var idleAfter: OpenSession?
    var sent = 0
    var tls: String?
    var offers = HostOffers.all
    /// It offers DSN.
    var notices = false
    /// What is on the wire.
    var parcel: Parcel?
    /// The parcel whose needs chose the source.
    var purpose: Parcel?

    init(plan: SessionPlan, site: Site, source: Int, limit: Int, purpose: Parcel?) {
        self.id = plan.id
        self.limit = limit
        self.plan = plan
        self.site = site
        self.allowance = site.allowance
        self.receiver = site.receiver
        self.source = source
        self.purpose = purpose
    }
}

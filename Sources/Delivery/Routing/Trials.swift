import DequeModule
import Queue

/// The claims on sessions of sites that have yet to show that they take mail.
///
/// A dead site holds each session that is opened to it until a deadline has passed, half a minute or more. So sites
/// that did not take a session lately get few at a time, and all of them together half of the sessions. For mail that
/// was read back from the store it is half of that, and for sites that failed when they were last tried half of that
/// again: what is left is for sites that answer, for new mail, and for sites of which nothing bad is known.
/// Those that found no session wait in line, fair over customers.
struct Trials {
    /// Sessions being opened, by what for.
    private var opening: [Kind: Int] = [:]
    private var lines: [Kind: FairQueue<Site>] = [:]

    /// What a session is opened for, where its site has to show yet that it takes mail; the first comes first.
    enum Kind: CaseIterable {
        /// Mail that a customer has just handed in.
        case fresh
        /// Mail that was read back from the store.
        case old
        /// The same, for a site that took no session when it was last tried.
        case failing

        /// Sessions at a time to one such site: for new mail a second host is tried while the first does not answer.
        var perSite: Int { self == .fresh ? 2 : 1 }
    }

    var open: Int { opening.values.reduce(0, +) }

    private func count(_ kind: Kind) -> Int { opening[kind] ?? 0 }

    func hasRoom(_ kind: Kind, of sessions: Int) -> Bool {
        guard open < max(2, sessions / 2) else { return false }
        switch kind {
        case .fresh: return true
        case .old: return count(.old) + count(.failing) < max(1, sessions / 4)
        case .failing:
            return count(.old) + count(.failing) < max(1, sessions / 4) && count(.failing) < max(1, sessions / 8)
        }
    }

    mutating func begin(_ kind: Kind) { opening[kind, default: 0] += 1 }

    mutating func end(_ kind: Kind) { opening[kind, default: 0] -= 1 }

    /// Stands once in each line at most.
    mutating func lineUp(_ site: Site, _ kind: Kind, of customer: String) {
        if site.lines.insert(kind).inserted { lines[kind, default: FairQueue()].append(site, of: customer) }
    }

    /// The next site for which there is a session now.
    mutating func next(of sessions: Int) -> Site? {
        for kind in Kind.allCases where hasRoom(kind, of: sessions) {
            if let site = lines[kind]?.popFirst() {
                site.lines.remove(kind)
                return site
            }
        }
        return nil
    }
}

/// Domains in line, each once.
struct DomainLine {
    private var line = Deque<String>()
    private var members: Set<String> = []

    mutating func append(_ domain: String) {
        if members.insert(domain).inserted { line.append(domain) }
    }

    mutating func popFirst() -> String? {
        guard let domain = line.popFirst() else { return nil }
        members.remove(domain)
        return domain
    }

    mutating func removeAll() {
        line.removeAll()
        members.removeAll()
    }
}

import Mail
import Queue

/// One message of the queue as it goes over the control socket.
struct QueueReport: Codable, Sendable, Hashable {
    struct Part: Codable, Sendable, Hashable {
        var domain: String
        var recipients: [String]
        var state: String
        var rounds: Int
        var due: String
        var tried: [String]
        var pinned: String?
        var route: String
        var step: Int
        var firstRefusal: String?
        var lastRefusal: String?
        /// The receiver and the source that were tried last.
        var site: String?
        var source: String?
        /// Why nothing is sent there now, whatever is due.
        var notNow: String?
        var held: Held?
        /// False where another part of the message is what was asked for.
        var fits: Bool?
    }

    struct Held: Codable, Sendable, Hashable {
        var at: String
        var by: String
        var reason: String
    }

    /// What the sender is still to be told.
    struct Untold: Codable, Sendable, Hashable {
        var recipient: String
        var kind: String
        var reason: String
        var at: String
    }

    var id: String
    var customer: String
    var sender: String
    var size: Int
    var arrived: String
    /// Since it arrived.
    var ageSeconds: Int64
    var expires: String
    /// When the first of it is due that is neither held nor in flight.
    var next: String?
    var waiting: [Part]
    var untold: [Untold]

    /// - Parameters:
    ///   - site: what is known of where a domain's mail goes.
    ///   - fits: whether a part is what was asked for.
    init(
        _ entry: QueueEntry, at now: Timestamp, site: (String) -> SiteNote? = { _ in nil },
        fits: (QueueEntry.Part) -> Bool = { _ in true }
    ) {
        let message = entry.message
        id = message.id.description
        customer = message.customer
        sender = message.sender.description
        size = message.size
        arrived = UTCTime.text(message.arrived)
        ageSeconds = max(0, (now - message.arrived).milliseconds / 1_000)
        expires = UTCTime.text(message.expires)
        next = entry.works.filter { $0.state == .waiting || $0.state == .due }.map(\.progress.due).min()
            .map { UTCTime.text($0) }
        waiting = entry.works.map { work in
            let note = site(work.domain)
            return Part(
                domain: work.domain, recipients: work.recipients.map(\.description), state: work.state.shown,
                rounds: work.progress.rounds, due: UTCTime.text(work.progress.due), tried: work.progress.tried,
                pinned: work.progress.pinned, route: work.progress.route, step: work.progress.step,
                firstRefusal: work.progress.firstRefusal?.description,
                lastRefusal: work.progress.lastRefusal,
                site: work.progress.site ?? note?.name, source: work.progress.source, notNow: note?.why,
                held: work.hold.map { Held(at: UTCTime.text($0.at), by: $0.by, reason: $0.reason) },
                fits: fits(work) ? nil : false)
        }
        untold = entry.untold.map {
            Untold(
                recipient: $0.recipient.description, kind: $0.kind.name, reason: $0.reason, at: UTCTime.text($0.at))
        }
    }

    /// One line for a list, safe to show.
    var summary: String {
        let meant = waiting.filter { $0.fits != false }
        let (recipients, all) = (Self.recipients(meant), Self.recipients(waiting))
        let domains = meant.map(\.domain)
        let shown = domains.prefix(3).joined(separator: " ") + (domains.count > 3 ? " …" : "")
        var parts = [
            id, Age.text(seconds: ageSeconds), Self.states(meant), "<\(sender)>", customer,
            (recipients < all ? "\(recipients) of \(all)" : "\(all)") + " to \(shown.isEmpty ? "nobody" : shown)",
        ]
        if let site = meant.compactMap(\.site).first { parts.append("at \(site)") }
        // The texts are of one form, so that their order is that of the times.
        let times = meant.filter { $0.state == "waiting" || $0.state == "due" }.map(\.due)
        if let next = times.min() { parts.append("next \(next)") }
        if !untold.isEmpty { parts.append("\(untold.count) to be told of") }
        if let held = meant.compactMap(\.held).first {
            parts.append("held: \(held.reason)")
        } else if let notNow = meant.compactMap(\.notNow).first {
            parts.append("not now: \(notNow)")
        } else if let last = meant.compactMap(\.lastRefusal).first {
            parts.append(last)
        }
        return Visible.text(parts.joined(separator: "  "))
    }

    private static func recipients(_ parts: [Part]) -> Int { parts.reduce(0) { $0 + $1.recipients.count } }

    /// Those of some parts, each once.
    private static func states(_ parts: [Part]) -> String {
        let names = parts.map(\.state)
        return names.isEmpty ? "ended" : Set(names).sorted().joined(separator: ", ")
    }

    /// All of it, safe to show.
    var lines: [String] {
        var lines = [
            "message   \(id)", "from      <\(sender)>, customer \(customer), \(size) octets",
            "arrived   \(arrived), \(Age.text(seconds: ageSeconds)) ago", "expires   \(expires)",
        ]
        for part in waiting {
            lines.append("waiting   \(part.domain), \(part.state), round \(part.rounds), due \(part.due)")
            if let held = part.held {
                lines.append("          held since \(held.at) by \(held.by): \(held.reason)")
            }
            if let notNow = part.notNow { lines.append("          not now: \(notNow)") }
            lines.append("          route \(part.route), step \(part.step + 1)")
            if let site = part.site {
                lines.append("          site \(site)" + (part.source.map { ", last from \($0)" } ?? ""))
            }
            if let pinned = part.pinned { lines.append("          keeps to the source \(pinned)") }
            if !part.tried.isEmpty { lines.append("          refused from \(part.tried.joined(separator: ", "))") }
            if let first = part.firstRefusal { lines.append("          first refusal: \(first)") }
            if let last = part.lastRefusal, last != part.firstRefusal {
                lines.append("          last refusal: \(last)")
            }
            lines += part.recipients.map { "          <\($0)>" }
        }
        lines += untold.map { "\($0.kind.padding(to: 10))<\($0.recipient)> \($0.at): \($0.reason)" }
        return lines.map { Visible.text($0) }
    }
}

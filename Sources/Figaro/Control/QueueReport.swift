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
    var expires: String
    var waiting: [Part]
    var untold: [Untold]

    init(_ entry: QueueEntry) {
        let message = entry.message
        id = message.id.description
        customer = message.customer
        sender = message.sender.description
        size = message.size
        arrived = UTCTime.text(message.arrived)
        expires = UTCTime.text(message.expires)
        waiting = entry.works.map { work in
            Part(
                domain: work.domain, recipients: work.recipients.map(\.description), state: work.state.rawValue,
                rounds: work.progress.rounds, due: UTCTime.text(work.progress.due), tried: work.progress.tried,
                pinned: work.progress.pinned, route: work.progress.route, step: work.progress.step,
                firstRefusal: work.progress.firstRefusal?.description,
                lastRefusal: work.progress.lastRefusal)
        }
        untold = entry.untold.map {
            Untold(
                recipient: $0.recipient.description, kind: $0.kind.name, reason: $0.reason, at: UTCTime.text($0.at))
        }
    }

    /// One line for a list, safe to show.
    var summary: String {
        let recipients = waiting.reduce(0) { $0 + $1.recipients.count }
        let domains = waiting.map(\.domain)
        let shown = domains.prefix(3).joined(separator: " ") + (domains.count > 3 ? " …" : "")
        let last = waiting.compactMap(\.lastRefusal).first.map { "  \($0)" } ?? ""
        let untold = untold.isEmpty ? "" : "  \(untold.count) to be told of"
        return Visible.text(
            "\(id)  \(arrived)  <\(sender)>  \(customer)  \(recipients) to \(shown.isEmpty ? "nobody" : shown)"
                + untold + last)
    }

    /// All of it, safe to show.
    var lines: [String] {
        var lines = [
            "message   \(id)", "from      <\(sender)>, customer \(customer), \(size) octets", "arrived   \(arrived)",
            "expires   \(expires)",
        ]
        for part in waiting {
            lines.append("waiting   \(part.domain), \(part.state), round \(part.rounds), due \(part.due)")
            lines.append("          route \(part.route), step \(part.step + 1)")
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

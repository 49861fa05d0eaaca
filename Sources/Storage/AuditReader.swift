import Mail
import NIOCore
import Queue

/// What is stored of a message, as an audit sees it: the rows themselves, not what the queue makes of them.
struct AuditedRows {
    /// nil: the row is missing, or cannot be read.
    var recipients: [Address]?
    var arrived = Timestamp(milliseconds: 0)
    var hasMessage = false
    var hasContent = false
    var file: String?
    var waiting: Set<Address> = []
    var hasWaiting = false
    /// Ended, and their sender is still to be told.
    var told: Set<Address> = []
    var hasUntold = false
    var unreadable: String?

    mutating func take(message row: Prepared) {
        hasMessage = true
        let content = row.text(2)
        do {
            var unpacker = row.unpacker(1)
            let stored = try unpacker.envelope(id: row.id(0), content: { ByteBuffer() })
            recipients = stored.recipients
            arrived = stored.message.arrived
            if case .file(let name) = stored.message.content { file = name }
            hasContent = content == "blob"
        } catch {
            unreadable = "\(error)"
        }
    }

    mutating func take(waiting row: Prepared) {
        hasWaiting = true
        do {
            var unpacker = row.unpacker(2)
            waiting.formUnion(try unpacker.recipients())
        } catch {
            unreadable = "\(error)"
        }
    }

    mutating func take(untold row: Prepared) {
        hasUntold = true
        guard row.integer(3) != Int64(RecipientReport.Kind.delayed.rawValue) else { return }
        told.insert(Address(localPart: row.text(2), domain: row.text(1)))
    }
}

/// What the history tells of a message, as an audit sees it.
struct AuditedStory {
    /// How often each recipient stands in the envelope that was accepted; nil when no acceptance is recorded.
    var accepted: [Address: Int]?
    /// How often each recipient has ended, and how.
    var ends: [Address: Int] = [:]
    var hows: [RecipientEnd: Int] = [:]
    var last = Timestamp(milliseconds: 0)
    var unreadable: String?

    mutating func take(_ event: TraceEvent) {
        switch event {
        case .accepted(let event):
            accepted = Self.count(event.recipients)
            last = max(last, event.at)
        case .attempted(let event):
            last = max(last, event.at)
            // A delivery ends with its attempt and has no event of its own.
            if event.decision == "delivered" { end(event.recipients, .delivered) }
            if event.decision == "relayed" { end(event.recipients, .relayed) }
        case .ended(let event):
            last = max(last, event.at)
            end(event.recipients, event.how)
        case .notified(let event): last = max(last, event.at)
        case .steered(let event): last = max(last, event.at)
        }
    }

    mutating func take(row: Prepared) {
        do {
            var unpacker = row.unpacker(2)
            for event in try unpacker.events(of: row.id(0)) { take(event) }
        } catch {
            unreadable = "\(error)"
        }
    }

    private mutating func end(_ recipients: [Address], _ how: RecipientEnd) {
        for recipient in recipients { ends[recipient, default: 0] += 1 }
        hows[how, default: 0] += recipients.count
    }

    private static func count(_ recipients: [Address]) -> [Address: Int] {
        recipients.reduce(into: [:]) { $0[$1, default: 0] += 1 }
    }
}

/// Reads a table in the order of its messages, a page at a time.
struct AuditPages<Row> {
    private var rows: ArraySlice<Row> = []
    private var isAtEnd = false
    private let fetch: (Row?) throws -> [Row]
    private var last: Row?

    /// - Parameter fetch: the rows after this one, in order; none at the end.
    init(_ fetch: @escaping (Row?) throws -> [Row]) {
        self.fetch = fetch
    }

    mutating func peek() throws -> Row? {
        if rows.isEmpty, !isAtEnd {
            rows = try fetch(last)[...]
            last = rows.last ?? last
            isAtEnd = rows.isEmpty
        }
        return rows.first
    }

    mutating func next() throws -> Row? {
        guard let row = try peek() else { return nil }
        rows.removeFirst()
        return row
    }
}

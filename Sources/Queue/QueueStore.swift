package import Mail

/// What the queue needs of a database: some ten operations over sets, each synchronous and blocking.
///
/// ``recover()`` and ``write(_:)`` are called by the commit thread; the views (``entries(_:)``, ``entry(_:)``,
/// ``filed(_:after:limit:)``, ``unfiled(after:limit:)``, ``counts()``,
/// ``census(from:limit:dueBy:ages:)``) and what notices are made of (``untold(after:limit:)``, ``untoldMessage(_:)``,
/// ``waiting(after:through:limit:)``) by whoever asks; all else by the reader thread (before it runs, by whoever starts
/// the queue). The three groups do not wait for one another longer than a short critical section. Errors are
/// ``StoreFailure``.
///
/// A message is *fresh* while it has a row of its own and nothing else. *Filing* gives it a ``WaitingRow`` for each
/// recipient domain that has not ended. A message with neither waiting rows nor untold recipients is removed.
package protocol QueueStore: AnyObject, Sendable {
    /// Makes the store usable and tells where it stands; called once, first.
    func open() throws -> StoreState

    /// Closes what failed, opens it anew, recovers from the log and makes all of it durable in its final place.
    ///
    /// Whatever an earlier failed ``write(_:)`` left in the log may be there or not afterwards.
    func recover() throws

    /// Writes all of it in one transaction, durable (one fsync) when this returns. On an error nothing is known of it.
    ///
    /// Every part may be written again after ``recover()``: a part that was already done is done no second time.
    func write(_ batch: StoreBatch) throws -> StoreResult

    /// Fresh messages with ids at or above `floor`, in order of id, without content.
    func fresh(from floor: MessageID, limit: Int) throws -> [StoredMessage]

    /// Domains with an agenda entry at or before `now`, longest due first and then by name, those after `entry` (nil:
    /// from the start), and the first due time after `now`.
    func agenda(after entry: AgendaEntry?, dueBy now: Timestamp, limit: Int) throws -> AgendaPage

    /// Customers that have waiting rows in `domain`, in order of names, after `customer` (nil: from the start).
    func customers(domain: String, after customer: String?, limit: Int) throws -> [String]

    /// Positions of a lane's waiting rows that are due at or before `now`, after `position`, in order.
    func positions(_ lane: Lane, after position: Position, dueBy now: Timestamp, limit: Int) throws -> [Position]

    /// Loads the works at these keys with inline content; those that are gone or cannot be read are left out.
    ///
    /// Stops after the work with which `bytes` octets of content are reached.
    func works(_ keys: [WorkKey], bytes: Int) throws -> LoadedWorks

    /// Waiting rows that expire at or before `now`, after `cursor` (nil: from the start), in order of expiry.
    func expired(by now: Timestamp, after cursor: ExpiryCursor?, limit: Int) throws -> [ExpiryCursor]

    /// Waiting rows at a relay whose deadline there is at or before `now`, the earliest first.
    func pastRelay(by now: Timestamp, limit: Int) throws -> [ExpiryCursor]

    /// The earliest due time of each of the next domains after `domain` in the order of names, whatever the agenda
    /// says.
    func earliest(afterDomain domain: String?, limit: Int) throws -> [AgendaEntry]

    /// Octets free for the spool.
    func freeSpace() throws -> Int64

    /// Which of these messages have a row.
    func existing(_ ids: [MessageID]) throws -> Set<MessageID>

    /// Messages of which something is to be told, in order of time and id, after `cursor` (nil: from the start). A
    /// message stands there once for each point of time.
    func untold(after cursor: UntoldCursor?, limit: Int) throws -> [UntoldCursor]

    /// What is to be told of a message; nil when there is nothing, or it cannot be read.
    func untoldMessage(_ id: MessageID) throws -> UntoldMessage?

    /// Messages with waiting rows, with ids above `id` and up to `through`, in order.
    func waiting(after id: MessageID, through: MessageID, limit: Int) throws -> [MessageID]

    /// A page of messages for a person, in order of id.
    func entries(_ filter: QueueFilter) throws -> QueuePage

    /// One message for a person; nil when it is not in the store.
    func entry(_ id: MessageID) throws -> QueueEntry?

    /// Filed works in order of message and domain, those of messages above `id`, as far as the filter can tell by what
    /// the rows say. Looks at `limit` rows, and at the rest of the last one's message.
    func filed(_ filter: QueueFilter, after id: MessageID, limit: Int) throws -> FiledPage

    /// Fresh messages with ids above `id`, in order of id, without content.
    func unfiled(after id: MessageID, limit: Int) throws -> [StoredMessage]

    func counts() throws -> QueueCounts

    /// Counts the filed works of the next `limit` rows by domain, state and age; what is due by `now` counts as due.
    ///
    /// - Parameter ages: the highest ids of messages that old, falling.
    func census(from place: CensusPlace, limit: Int, dueBy now: Timestamp, ages: [MessageID]) throws -> CensusPage

    /// What was written is being put into its final place. Large orders wait for it: what they write meanwhile would
    /// have to be put there while everybody's commits stand still.
    var isBehind: Bool { get }

    /// Flushes and closes; nothing is called after it.
    func close() throws
}

extension QueueStore {
    package func agenda(dueBy now: Timestamp, limit: Int) throws -> AgendaPage {
        try agenda(after: nil, dueBy: now, limit: limit)
    }
}

/// What a store knows when it is opened.
package struct StoreState: Sendable {
    /// Every living message below it is filed.
    package var floor: MessageID
    /// No id above it was ever committed.
    package var ceiling: MessageID
    /// Up to it senders were told of delays; only read, ``StoreBatch/delays`` moves it.
    package var delayed: MessageID

    package init(floor: MessageID, ceiling: MessageID, delayed: MessageID = MessageID(value: 0)) {
        self.floor = floor
        self.ceiling = ceiling
        self.delayed = delayed
    }
}

/// What ``QueueStore/works(_:bytes:)`` found.
package struct LoadedWorks: Sendable {
    package var works: [Work]
    /// How many of the keys were looked at: less than all when the octets ran out.
    package var looked: Int

    package init(works: [Work] = [], looked: Int = 0) {
        self.works = works
        self.looked = looked
    }
}

/// A message's row without its content.
package struct StoredMessage: Sendable {
    package var message: QueuedMessage
    package var recipients: [Address]

    package init(message: QueuedMessage, recipients: [Address]) {
        self.message = message
        self.recipients = recipients
    }
}

/// A ``Work`` as it waits in the store.
package struct WaitingRow: Sendable {
    package var key: WorkKey
    /// Whose message it is.
    package var customer: String
    package var expires: Timestamp
    package var recipients: [Address]
    package var progress: Progress
    /// Its agenda entry is brought forward to its due time; not for works that are handed out.
    package var onAgenda: Bool

    package init(
        key: WorkKey, customer: String, expires: Timestamp, recipients: [Address], progress: Progress, onAgenda: Bool
    ) {
        self.key = key
        self.customer = customer
        self.expires = expires
        self.recipients = recipients
        self.progress = progress
        self.onAgenda = onAgenda
    }
}

/// A recipient of which the sender is still to be told.
package struct UntoldRecipient: Sendable, Hashable {
    package var message: MessageID
    package var report: RecipientReport

    package init(message: MessageID, report: RecipientReport) {
        self.message = message
        self.report = report
    }
}

/// A message of which something is to be told, and since when.
package struct UntoldCursor: Sendable, Hashable {
    package var at: Timestamp
    package var message: MessageID
    /// None of its recipients is waited for any more.
    package var hasEnded: Bool

    package init(at: Timestamp, message: MessageID, hasEnded: Bool) {
        self.at = at
        self.message = message
        self.hasEnded = hasEnded
    }
}

/// All that a notice is made of.
package struct UntoldMessage: Sendable {
    /// With inline content.
    package var message: QueuedMessage
    /// As they were accepted.
    package var recipients: [Address]
    package var reports: [RecipientReport]
    /// Recipients that have not ended.
    package var waiting: Set<Address>

    package init(
        message: QueuedMessage, recipients: [Address], reports: [RecipientReport], waiting: Set<Address>
    ) {
        self.message = message
        self.recipients = recipients
        self.reports = reports
        self.waiting = waiting
    }
}

/// What has been told, or is not to be told: it need not be kept any longer.
package struct Told: Sendable, Hashable {
    package var message: MessageID
    package var reports: [Report]

    package struct Report: Sendable, Hashable {
        package var recipient: Address
        package var kind: RecipientReport.Kind

        package init(recipient: Address, kind: RecipientReport.Kind) {
            self.recipient = recipient
            self.kind = kind
        }
    }

    package init(message: MessageID, reports: [RecipientReport]) {
        self.message = message
        self.reports = reports.map { Report(recipient: $0.recipient, kind: $0.kind) }
    }
}

/// Messages that have waited so long that their senders are told, once.
package struct Delays: Sendable, Hashable {
    package var messages: [MessageID]
    /// No message up to it is looked at again.
    package var through: MessageID

    package init(messages: [MessageID], through: MessageID) {
        self.messages = messages
        self.through = through
    }
}

/// A filed work whose deadline has passed.
package struct Expiration: Sendable, Hashable {
    package var key: WorkKey
    package var at: Timestamp

    package init(key: WorkKey, at: Timestamp) {
        self.key = key
        self.at = at
    }
}

/// One customer's mail for one domain: what is read in the order of its due times.
package struct Lane: Sendable, Hashable {
    package var domain: String
    package var customer: String

    package init(domain: String, customer: String) {
        self.domain = domain
        self.customer = customer
    }
}

/// Where a waiting row stands in its lane's order of due times.
package struct Position: Sendable, Hashable, Comparable {
    package var due: Timestamp
    package var message: MessageID

    package init(due: Timestamp, message: MessageID) {
        self.due = due
        self.message = message
    }

    /// Before every row.
    package static let start = Position(due: Timestamp(milliseconds: .min), message: MessageID(value: 0))

    package static func < (left: Position, right: Position) -> Bool {
        left.due == right.due ? left.message < right.message : left.due < right.due
    }
}

/// Where a waiting row stands in the order of expiry.
package struct ExpiryCursor: Sendable, Hashable {
    package var expires: Timestamp
    package var key: WorkKey

    package init(expires: Timestamp, key: WorkKey) {
        self.expires = expires
        self.key = key
    }
}

/// When a domain is next to be looked at.
package struct AgendaEntry: Sendable, Hashable {
    package var domain: String
    package var due: Timestamp
    /// It was postponed, and not all of its mail was handed out since: the last try may well have failed.
    package var postponed: Bool

    package init(domain: String, due: Timestamp, postponed: Bool = false) {
        self.domain = domain
        self.due = due
        self.postponed = postponed
    }
}

/// A filed work for a person or an order.
package struct FiledWork: Sendable {
    package var message: MessageID
    package var customer: String
    package var part: QueueEntry.Part

    package init(message: MessageID, customer: String, part: QueueEntry.Part) {
        self.message = message
        self.customer = customer
        self.part = part
    }

    package var key: WorkKey { WorkKey(message: message, domain: part.domain) }
}

package struct FiledPage: Sendable {
    package var works: [FiledWork]
    /// Rows that were looked at.
    package var looked = 0
    /// The last message that was looked at, where there are others after it.
    package var next: MessageID?

    package init(works: [FiledWork] = [], next: MessageID? = nil) {
        self.works = works
        self.next = next
    }
}

package struct AgendaPage: Sendable {
    package var due: [AgendaEntry]
    /// The first due time after the page; nil when the agenda ends with it.
    package var next: Timestamp?

    package init(due: [AgendaEntry], next: Timestamp?) {
        self.due = due
        self.next = next
    }
}

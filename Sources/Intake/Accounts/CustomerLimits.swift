/// What one customer may do; nil: no bound beside the node's. Hours and days are those of UTC.
package struct CustomerLimits: Sendable, Hashable {
    package var messagesPerHour: Int?
    package var messagesPerDay: Int?
    package var recipientsPerHour: Int?
    package var recipientsPerDay: Int?
    /// Recipients that it has not written to before.
    package var newRecipientsPerDay: Int?
    /// Sessions at a time.
    package var sessions: Int?
    /// Octets of one message.
    package var messageSize: Int?
    /// Percent of a day's recipients that receivers do not know, once there were ``badShareFloor`` answers.
    package var badShare: Int?

    /// A few typing errors are no list of guessed addresses.
    static let badShareFloor = 100

    package init() {}
}

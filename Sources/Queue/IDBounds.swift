import Mail

/// The two ids that make a restart cheap and an id unique.
///
/// At or above the floor there may be fresh messages, which a restart has to look for; above the ceiling no id was ever
/// committed. Both are written ahead now and then, not with each message.
struct IDBounds {
    private(set) var floor: MessageID
    private(set) var ceiling: MessageID
    private var highest: MessageID

    /// Ids hold milliseconds above 21 bits. Ten seconds: a message whose id was drawn longer ago than that when it is
    /// committed is filed at once, which is dearer, so only long uploads should be.
    private static let lag: UInt64 = 10_000 << 21
    /// How far the ceiling is written ahead: two seconds, so that it costs a row every two seconds.
    private static let ahead: UInt64 = 2_000 << 21

    init(_ state: StoreState) {
        floor = state.floor
        ceiling = state.ceiling
        highest = state.ceiling
    }

    /// The ceiling has been passed and must be written with the transaction that passes it.
    var needsCeiling: Bool { highest > ceiling }

    mutating func saw(_ id: MessageID) {
        highest = max(highest, id)
    }

    /// Both as they are to be stored.
    mutating func advance(lowestFresh: MessageID?) -> StoreState {
        if highest > ceiling {
            // Stays below 2^63, which is what a store's integer holds.
            let (sum, overflow) = highest.value.addingReportingOverflow(Self.ahead)
            ceiling = MessageID(
                value: overflow || sum > UInt64(Int64.max) ? max(highest.value, UInt64(Int64.max)) : sum)
        }
        let behind = MessageID(value: highest.value > Self.lag ? highest.value - Self.lag : 0)
        floor = max(floor, min(lowestFresh ?? behind, behind))
        return StoreState(floor: floor, ceiling: ceiling)
    }
}

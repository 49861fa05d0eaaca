import Synchronization

/// Names one accepted message for its whole life: in the store, in the log, in `Received` and in every command.
///
/// 42 bits of milliseconds since 2025-01-01, 11 bits of sequence, 10 bits of bucket: ids of one node grow with time, so
/// rows are appended at the end of the table and an id tells roughly when its message came.
package struct MessageID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let value: UInt64

    package init(value: UInt64) {
        self.value = value
    }

    package static func < (left: MessageID, right: MessageID) -> Bool { left.value < right.value }

    /// 2025-01-01T00:00:00Z in milliseconds since 1970.
    private static let epoch: Int64 = 1_735_689_600_000

    /// When the message was accepted, to the millisecond.
    package var accepted: Timestamp {
        Timestamp(milliseconds: Int64(value >> 21) + Self.epoch)
    }

    /// The highest id that can have been drawn before that time.
    package static func before(_ time: Timestamp) -> MessageID {
        let elapsed = UInt64(clamping: time.milliseconds.subtractingReportingOverflow(epoch).partialValue)
        guard elapsed > 0 else { return MessageID(value: 0) }
        return MessageID(value: min(elapsed, 1 << 42) << 21 - 1)
    }

    // Crockford's base 32 without I, L, O, U: reads well aloud and survives a double click.
    private static let alphabet: [UInt8] = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// Thirteen characters of Crockford's base 32.
    package var description: String {
        String(unsafeUninitializedCapacity: 13) { bytes in
            var rest = value
            for index in stride(from: 12, through: 0, by: -1) {
                bytes[index] = Self.alphabet[Int(rest & 31)]
                rest >>= 5
            }
            return 13
        }
    }

    /// Reads the thirteen characters of ``description``, either case; nil when they are anything else.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 13 else { return nil }
        var value: UInt64 = 0
        for (index, byte) in text.utf8.enumerated() {
            let upper = (97...122).contains(byte) ? byte - 32 : byte
            guard let digit = Self.alphabet.firstIndex(of: upper), index > 0 || digit < 16 else { return nil }
            value = value << 5 | UInt64(digit)
        }
        self.value = value
    }

    /// Draws ids that only grow, also when the wall clock steps back and across restarts.
    package final class Generator: Sendable {
        private let last: Mutex<UInt64>
        private let bucket: UInt64
        private let time: any TimeSource

        /// - Parameters:
        ///   - bucket: 0 to 1,023; which part of the store the message lies in.
        ///   - last: the highest id the store has ever seen, so that a clock set back cannot draw it again.
        package init(bucket: UInt16 = 0, after last: MessageID? = nil, time: any TimeSource = SystemTime()) {
            self.bucket = UInt64(bucket & 1_023)
            self.last = Mutex((last?.value ?? 0) >> 10)
            self.time = time
        }

        package func next() -> MessageID {
            let elapsed = max(0, time.now().milliseconds - MessageID.epoch)
            let floor = UInt64(elapsed) << 11
            let tick = last.withLock { last in
                last = max(last + 1, floor)
                return last
            }
            return MessageID(value: tick << 10 | bucket)
        }
    }
}

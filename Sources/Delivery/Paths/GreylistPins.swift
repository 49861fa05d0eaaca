import DequeModule
import Mail
import Queue

/// Sender, recipient and receiver as greylisters tell them apart, in 64 bits: what is kept tells nobody who writes to
/// whom, and two that fall together cost one of them its choice of source.
struct Triple: Hashable {
    let value: UInt64

    init(value: UInt64) {
        self.value = value
    }

    init(sender: ReversePath, recipient: Address) {
        // FNV-1a: the same after a restart, which Swift's own hashing is not.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ text: String) {
            for octet in text.utf8 {
                let lower = (65...90).contains(octet) ? octet | 32 : octet
                hash = (hash ^ UInt64(lower)) &* 0x0000_0100_0000_01B3
            }
            hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
        }
        if case .address(let address) = sender {
            add(address.localPart)
            add(address.domain)
        } else {
            add("<>")
        }
        add(recipient.localPart)
        add(recipient.domain)
        value = hash
    }
}

/// The source that a triple keeps.
struct Pin: Hashable {
    var source: IPAddress
    var expires: Timestamp
    /// The receiver took mail of this triple.
    var passed = false
    /// Which of all pins it is, in order of time.
    fileprivate(set) var stamp: UInt64 = 0

    /// Greylisters forget who did not come back within two days or so, and know who came for a month.
    static let patience = Timestamp.Span.days(2)
    static let acquaintance = Timestamp.Span.days(30)
}

/// All pins in order of time, so that the oldest is given up when there are too many.
struct PinLine {
    /// Some 100 octets each.
    static let limit = 100_000
    private(set) var count = 0
    private var line: Deque<(receiver: Receiver, triple: Triple, stamp: UInt64)> = []
    private var last: UInt64 = 0

    /// Sets a pin; returns the oldest where it had to go.
    mutating func set(_ pin: Pin, for triple: Triple, at receiver: Receiver) -> (Receiver, Triple)? {
        last += 1
        var pin = pin
        pin.stamp = last
        if receiver.pins.updateValue(pin, forKey: triple) == nil { count += 1 }
        line.append((receiver, triple, last))
        if line.count > 2 * Self.limit { line.removeAll { $0.receiver.pins[$0.triple]?.stamp != $0.stamp } }
        return count > Self.limit ? dropOldest() : nil
    }

    mutating func remove(_ triple: Triple, at receiver: Receiver) {
        if receiver.pins.removeValue(forKey: triple) != nil { count -= 1 }
    }

    private mutating func dropOldest() -> (Receiver, Triple)? {
        while let oldest = line.popFirst() {
            guard oldest.receiver.pins[oldest.triple]?.stamp == oldest.stamp else { continue }
            remove(oldest.triple, at: oldest.receiver)
            return (oldest.receiver, oldest.triple)
        }
        return nil
    }
}

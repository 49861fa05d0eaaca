import Mail
import Testing

@testable import Intake

struct KnownRecipientsTests {
    private let key = [UInt8](repeating: 7, count: 32)
    /// Day 20,779 since 1970.
    private let now = Timestamp(milliseconds: 20_779 * 86_400_000)

    private func address(_ number: Int) throws -> Address { try Address(parsing: "reader\(number)@sink.example") }

    private func write(to numbers: Range<Int>, as customer: String, _ known: KnownRecipients, at now: Timestamp) throws
    {
        for number in numbers {
            guard let stranger = known.stranger(try address(number), to: customer, at: now) else { continue }
            known.remember([stranger], of: customer, at: now)
        }
    }

    @Test
    func `are new until they were written to, each customer's own, however they are spelled`() throws {
        let known = KnownRecipients()
        let first = try #require(known.stranger(try address(1), to: "acme", at: now))
        #expect(known.stranger(try address(1), to: "acme", at: now) == first, "asking alone makes nobody known")
        known.remember([first], of: "acme", at: now)
        #expect(known.stranger(try Address(parsing: "Reader1@SINK.example"), to: "acme", at: now) == nil)
        let other = try #require(known.stranger(try address(1), to: "globex", at: now))
        #expect(other != first)
    }

    @Test
    func `outlive a restart, each change told once`() throws {
        let known = KnownRecipients()
        known.load([], key: key)
        try write(to: 0..<3, as: "acme", known, at: now)
        let changes = known.takeChanges()
        #expect(changes.count == 3 && Set(changes.map(\.day)) == [20_779])
        try write(to: 0..<3, as: "acme", known, at: now)
        #expect(known.takeChanges().isEmpty)
        let again = KnownRecipients()
        again.load(changes, key: key)
        #expect(again.takeChanges().isEmpty)
        #expect(again.stranger(try address(2), to: "acme", at: now + .days(1)) == nil)
        #expect(again.takeChanges().map(\.day) == [20_780], "written to again")
        #expect(again.stranger(try address(3), to: "acme", at: now) != nil)
        let foreign = KnownRecipients()
        foreign.load(changes, key: [UInt8](repeating: 8, count: 32))
        #expect(foreign.stranger(try address(2), to: "acme", at: now) != nil, "nobody tells who it is without the key")
    }

    @Test
    func `of one customer are bounded, and those that were written to longest ago go first`() throws {
        let known = KnownRecipients(KnownRecipients.Bounds(perCustomer: 80, inAll: 1_000))
        try write(to: 0..<40, as: "acme", known, at: now)
        try write(to: 40..<80, as: "acme", known, at: now + .days(1))
        try write(to: 0..<5, as: "acme", known, at: now + .days(2))
        _ = known.takeChanges()
        try write(to: 80..<81, as: "acme", known, at: now + .days(2))
        #expect(known.count(of: "acme") == 71)
        #expect(known.takeChanges().filter { $0.day == nil }.count == 10)
        for number in Array(0..<5) + Array(40..<81) {
            #expect(known.stranger(try address(number), to: "acme", at: now + .days(2)) == nil, "\(number)")
        }
    }

    @Test
    func `of all are bounded, at the cost of the customer with most`() throws {
        let known = KnownRecipients(KnownRecipients.Bounds(perCustomer: 80, inAll: 100))
        try write(to: 0..<10, as: "small", known, at: now)
        try write(to: 0..<80, as: "large", known, at: now)
        try write(to: 0..<200, as: "other", known, at: now)
        #expect(known.count(of: "small") == 10)
        let sum = ["small", "large", "other"].reduce(0) { $0 + known.count(of: $1) }
        #expect(sum <= 100 && sum > 80)
    }
}

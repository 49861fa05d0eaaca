import Mail
import SMTP
import Testing

@testable import Intake

struct CustomerTallyTests {
    private let tally = CustomerTally()
    /// 22 November 2026, 23:51:27 UTC.
    private let evening = Timestamp(milliseconds: 1_795_391_487_000)

    private func limits(_ set: (inout CustomerLimits) -> Void) -> CustomerLimits {
        var limits = CustomerLimits()
        set(&limits)
        return limits
    }

    @Test
    func `an hour is over at the next full hour, and the reply says when`() {
        let limits = limits { $0.recipientsPerHour = 3 }
        var transaction = CustomerTally.Reservation()
        for _ in 0..<3 { #expect(tally.take(limits, &transaction, at: evening) == nil) }
        let refusal = tally.take(limits, &transaction, at: evening)
        #expect(refusal?.text == "450 4.7.1 Too many recipients this hour, try again after 00:00 UTC")
        #expect(tally.take(limits, &transaction, at: evening + .minutes(9)) == nil)
        let noon = tally.take(self.limits { $0.recipientsPerHour = 1 }, &transaction, at: evening + .minutes(9))
        #expect(noon?.text.hasSuffix("try again after 01:00 UTC") == true)
    }

    @Test
    func `a message counts with its first recipient`() {
        let limits = limits { $0.messagesPerDay = 2 }
        for _ in 0..<2 {
            var transaction = CustomerTally.Reservation()
            for _ in 0..<5 { #expect(tally.take(limits, &transaction, at: evening) == nil) }
        }
        var third = CustomerTally.Reservation()
        #expect(
            tally.take(limits, &third, at: evening)?.text
                == "450 4.7.1 Too many messages today, try again after 00:00 UTC")
        #expect(tally.take(limits, &third, at: evening + .minutes(9)) == nil)
    }

    @Test
    func `what no message came of is given back`() {
        let limits = limits { $0.recipientsPerHour = 2 }
        for _ in 0..<10 {
            var transaction = CustomerTally.Reservation()
            for _ in 0..<2 { #expect(tally.take(limits, &transaction, at: evening) == nil) }
            tally.giveBack(&transaction)
            tally.giveBack(&transaction)
        }
        var late = CustomerTally.Reservation()
        _ = tally.take(limits, &late, at: evening)
        var next = CustomerTally.Reservation()
        for _ in 0..<2 { #expect(tally.take(limits, &next, at: evening + .hours(1)) == nil) }
        tally.giveBack(&late)
        #expect(tally.take(limits, &next, at: evening + .hours(1)) != nil, "the other hour's count is its own")
    }

    @Test
    func `recipients it has not written to before have a limit of their own`() {
        let limits = limits { $0.newRecipientsPerDay = 2 }
        var transaction = CustomerTally.Reservation()
        for stranger in [1, 2] as [UInt64] {
            #expect(tally.take(limits, &transaction, stranger: stranger, at: evening) == nil)
        }
        #expect(
            tally.take(limits, &transaction, stranger: 3, at: evening)?.text
                == "450 4.7.1 Too many new recipients today, try again after 00:00 UTC")
        #expect(tally.take(limits, &transaction, at: evening) == nil, "others it may write to")
        #expect(transaction.strangers == [1, 2])
        tally.giveBack(&transaction)
        #expect(tally.take(limits, &transaction, stranger: 3, at: evening) == nil)
        #expect(tally.take(limits, &transaction, stranger: 4, at: evening + .minutes(9)) == nil, "another day")
    }

    @Test
    func `counts go on after a restart while their hour or day lasts`() throws {
        let limits = limits {
            $0.recipientsPerHour = 4
            $0.newRecipientsPerDay = 2
        }
        var transaction = CustomerTally.Reservation()
        #expect(tally.takeText() == nil)
        _ = tally.take(limits, &transaction, stranger: 1, at: evening)
        _ = tally.take(limits, &transaction, stranger: 2, at: evening)
        let text = try #require(tally.takeText())
        #expect(tally.takeText() == nil, "nothing new")
        let broken = [
            "", "x y", "1:2:3 4:5:6:7", "1:1:1:-1 1:1:1:1", "99999999999999999999:1:1:1 1:1:1:1",
            "1:\(Int.max):1:1 1:\(Int.max):1:1",
        ]
        for broken in broken {
            let other = CustomerTally()
            other.resume(broken)
            #expect(other.used(at: evening).recipientsPerDay == 0)
        }
        let again = CustomerTally()
        again.resume(text)
        #expect(again.takeText() == nil)
        #expect(again.used(at: evening).recipientsPerHour == 2 && again.used(at: evening).newRecipientsPerDay == 2)
        #expect(again.take(limits, &transaction, stranger: 3, at: evening) != nil)
        #expect(again.take(limits, &transaction, at: evening) == nil)
        #expect(again.used(at: evening + .minutes(9)).recipientsPerHour == 0)
    }

    @Test
    func `unknown recipients are too many by their share of the day`() {
        let limits = limits { $0.badShare = 20 }
        func isRefused() -> Bool {
            var transaction = CustomerTally.Reservation()
            return tally.take(limits, &transaction, at: evening) != nil
        }
        tally.note(CustomerTally.Answers(taken: 10, unknown: 50), at: evening)
        #expect(!isRefused(), "too few to tell")
        tally.note(CustomerTally.Answers(taken: 80, unknown: 20), at: evening)
        #expect(!isRefused())
        tally.note(CustomerTally.Answers(taken: 79, unknown: 21), at: evening)
        #expect(isRefused())
        var tomorrow = CustomerTally.Reservation()
        #expect(tally.take(limits, &tomorrow, at: evening + .hours(1)) == nil, "a day begins anew")
        tally.note(CustomerTally.Answers(taken: 179, unknown: 22), at: evening + .hours(1))
        #expect(tally.take(limits, &tomorrow, at: evening + .hours(1)) == nil, "what was said yesterday does not count")
    }

    @Test
    func `senders are matched by domain, parent or address`() throws {
        var own = SenderSet()
        for text in ["Acme.example", "*.acme.example", "news@Shop.example"] { #expect(own.insert(text) == true) }
        for text in [
            "", "acme", "*", "*.", "a@", "@b.example", "a b.example", "a@[192.0.2.1]", "[192.0.2.1]", "**.b.c",
        ] {
            var other = SenderSet()
            #expect(other.insert(text) == false, "\(text)")
        }
        let right = try #require(SenderRight(own: own, claimed: own))
        func covers(_ text: String) throws -> Bool { right.covers(try Address(parsing: text)) }
        for text in ["a@acme.example", "A@ACME.example", "a@x.y.acme.example", "News@shop.example"] {
            #expect(try covers(text), "\(text)")
        }
        for text in ["a@notacme.example", "a@example", "other@shop.example", "a@x.shop.example", "a@acme.example.org"] {
            #expect(try !covers(text), "\(text)")
        }
        let free = try #require(SenderRight(own: SenderSet(), claimed: own))
        #expect(free.covers(try Address(parsing: "a@elsewhere.example")))
        #expect(!free.covers(try Address(parsing: "a@acme.example")), "what another customer has declared")
        #expect(SenderRight(own: SenderSet(), claimed: SenderSet()) == nil)
    }
}

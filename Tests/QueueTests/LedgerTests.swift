import Mail
import RelayTesting
import Testing

@testable import Queue

@Suite struct `A ledger` {
    let mail = Mails(ManualTime()).next()
    var place: Place { Place(mail.message, due: mail.message.arrived) }

    /// Hands the row out as a page does that found it.
    func read(_ ledger: inout Ledger) {
        var reading = ledger.beginPage("example.org")
        reading.cursors["acme"] = place.position
        _ = ledger.endPage("example.org", handedOut: [mail.id], reading: reading)
    }

    @Test func `keeps as handed out what was read between the writing of its row and the word of it`() {
        var ledger = Ledger()
        read(&ledger)
        ledger.reach("example.org", place)
        #expect(ledger.isHandedOut(mail.key()))
        #expect(ledger.free([place.position], of: "example.org").isEmpty)
    }

    @Test func `has in reach what was released, also behind the cursor`() throws {
        var ledger = Ledger()
        ledger.claim(WorkKey(message: MessageID(value: 1), domain: "example.org"))
        read(&ledger)
        ledger.release(mail.key(), to: place)
        #expect(!ledger.isHandedOut(mail.key()))
        let cursor = try #require(ledger.beginPage("example.org").cursors["acme"])
        #expect(cursor < place.position)
    }
}

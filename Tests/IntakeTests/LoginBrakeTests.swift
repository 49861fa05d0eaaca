import Mail
import NIOCore
import Testing

@testable import Intake

struct LoginBrakeTests {
    private let thief = IPAddress(v4: 0xC000_0201)
    private let owner = IPAddress(v4: 0xC633_6401)
    private let start = NIODeadline.uptimeNanoseconds(1 << 40)

    @Test
    func `who has logged in is known after a restart`() {
        var brake = LoginBrake()
        brake.succeeded("a", from: owner, at: start)
        brake.succeeded("a", from: owner, at: start + .hours(1))
        let friends = brake.takeFriends()
        #expect(friends == [KnownLogin(user: "a", address: owner)] && brake.takeFriends().isEmpty)
        brake.succeeded("a", from: owner, at: start + .hours(25))
        #expect(brake.takeFriends() == friends, "once a day")
        var again = LoginBrake()
        again.welcome(friends, at: start)
        for _ in 0..<40 { _ = again.failed("a", from: owner, at: start) }
        #expect(again.hears("a", from: owner, at: start) == true && again.takeFriends().isEmpty)
    }

    @Test
    func `each wrong password waits longer, up to a bound`() {
        var brake = LoginBrake()
        let delays = (0..<8).map { _ in brake.failed("a", from: thief, at: start).nanoseconds / 1_000_000 }
        #expect(delays == [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000])
    }

    @Test
    func `an account guessed at from many addresses slows each of them`() {
        var brake = LoginBrake()
        let delays = (0..<5).map { brake.failed("a", from: IPAddress(v4: 0x0A00_0000 + UInt32($0)), at: start) }
        #expect(delays.last == .seconds(4))
        #expect(brake.failed("other", from: owner, at: start) == .milliseconds(250), "others are not slower for it")
    }

    @Test
    func `who guesses on is heard now and then only`() {
        var brake = LoginBrake()
        for _ in 0..<20 {
            #expect(brake.hears("a", from: thief, at: start) == true)
            _ = brake.failed("a", from: thief, at: start)
        }
        #expect(brake.hears("a", from: thief, at: start) == true, "the first time that it is out of patience")
        #expect(brake.hears("a", from: thief, at: start + .seconds(9)) == false)
        #expect(brake.hears("a", from: thief, at: start + .seconds(10)) == true)
        #expect(brake.hears("b", from: thief, at: start + .seconds(10)) == false, "whatever account it tries")
        #expect(brake.hears("a", from: owner, at: start + .seconds(10)) == true, "nobody else suffers")
        #expect(brake.hears("a", from: thief, at: start + .minutes(20)) == true, "it is forgotten in time")
        #expect(brake.hears("a", from: thief, at: start + .minutes(20)) == true)
    }

    @Test
    func `an address that has logged in is always heard, for its own account`() {
        var brake = LoginBrake()
        brake.succeeded("a", from: thief, at: start)
        for _ in 0..<1_000 { _ = brake.failed("a", from: thief, at: start) }
        for _ in 0..<10 { #expect(brake.hears("a", from: thief, at: start) == true) }
        _ = brake.hears("b", from: thief, at: start)
        #expect(brake.hears("b", from: thief, at: start) == false)
        #expect(brake.isFriend("a", thief, at: start + .hours(24 * 29)))
        #expect(!brake.isFriend("a", thief, at: start + .hours(24 * 31)))
    }

    @Test
    func `a network of IPv6 is one guesser`() throws {
        var brake = LoginBrake()
        for number in 0..<20 {
            let address = try #require(IPAddress("2001:db8::\(number + 1)"))
            _ = brake.failed(nil, from: address, at: start)
        }
        let another = try #require(IPAddress("2001:db8::ffff"))
        _ = brake.hears("a", from: another, at: start)
        #expect(brake.hears("a", from: another, at: start) == false)
    }

    @Test
    func `tables stay bounded, and who guesses most stays in them`() {
        var settings = LoginBrake.Settings()
        settings.entries = 100
        var brake = LoginBrake(settings)
        for _ in 0..<30 { _ = brake.failed("a", from: thief, at: start) }
        for number in 0..<1_000 {
            _ = brake.failed("user\(number)", from: IPAddress(v4: 0x0A00_0000 + UInt32(number)), at: start)
            brake.succeeded("user\(number)", from: IPAddress(v4: 0x0A00_0000 + UInt32(number)), at: start)
        }
        #expect(brake.entries.max().map { $0 <= 100 } == true)
        _ = brake.hears("a", from: thief, at: start)
        #expect(brake.hears("a", from: thief, at: start) == false)
    }
}

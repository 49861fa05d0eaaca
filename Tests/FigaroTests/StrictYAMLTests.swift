import Mail
import Testing

@testable import Figaro

/// What an operator reads when a file is wrong.
struct StrictYAMLTests {
    private func problems(_ text: String, _ read: (Section) -> Void) -> [String] {
        let problems = Problems()
        _ = YAMLFile.parse(text, file: "f.yaml", problems)?.section(read)
        return problems.list.map(\.description)
    }

    @Test func `an unknown key is named with its place, the nearest known key and all that are allowed`() {
        let said = problems("delivery:\n  shedule: [5m]\n") { root in
            _ = root.optional("delivery")?.section { section in
                _ = section.optional("schedule")
                _ = section.optional("jitter")
            }
        }
        #expect(
            said == [
                "f.yaml:2:3: delivery.shedule: unknown key, did you mean “schedule”?; "
                    + "allowed here: schedule, jitter"
            ])
    }

    @Test func `a key given twice is an error`() {
        #expect(problems("a: 1\nb: 2\na: 3\n") { _ in }.first?.contains("“a” stands more than once") == true)
        let said = problems("1: x\n\"1\": y\n") { _ = $0.entries() }
        #expect(said == ["f.yaml:2:1: 1: stands here for the second time; the first is in line 1"])
    }

    @Test func `a missing key and an empty one are told apart`() {
        #expect(problems("{}") { _ = $0.required("spool") } == ["f.yaml:1:1: “spool” is missing"])
        let said = problems("spool:\n") { _ = $0.required("spool")?.string("a path") }
        #expect(said == ["f.yaml:1:7: spool: expected a path, found nothing"])
    }

    @Test(arguments: [
        ("n: \"5\"", "f.yaml:1:4: n: expected a whole number from 1 to 9, found the quoted text “5”"),
        ("n: 5.5", "f.yaml:1:4: n: expected a whole number from 1 to 9, found “5.5”"),
        ("n: 010", "f.yaml:1:4: n: expected a whole number from 1 to 9, found “010”"),
        ("n: 10", "f.yaml:1:4: n: expected a whole number from 1 to 9, found 10"),
        ("n: 99999999999999999999", "f.yaml:1:4: n: expected a whole number from 1 to 9, found “99999999999999999999”"),
        ("n: [1]", "f.yaml:1:4: n: expected a whole number from 1 to 9, found a list"),
        ("n: {}", "f.yaml:1:4: n: expected a whole number from 1 to 9, found a mapping"),
    ])
    func `a number is a number in its range`(text: String, expected: String) {
        #expect(problems(text) { _ = $0.optional("n")?.int(1...9) } == [expected])
    }

    @Test(arguments: ["500ms": 500, "30s": 30_000, "5m": 300_000, "24h": 86_400_000, "5d": 432_000_000])
    func `spans are read with their units`(text: String, milliseconds: Int) {
        #expect(Units.span(text)?.milliseconds == Int64(milliseconds))
        #expect(Units.span(Units.text(.init(milliseconds: Int64(milliseconds))))?.milliseconds == Int64(milliseconds))
    }

    @Test(arguments: ["5", "5 m", "5min", "m", "", "-5m", "1.5h", "99999999999999d", "9223372036854775807d", "٥m"])
    func `what is no span is refused`(text: String) {
        #expect(Units.span(text) == nil)
    }

    @Test func `sizes are powers of 1,024 and need a unit`() {
        #expect(Units.size("100B") == 100)
        #expect(Units.size("256KB") == 262_144)
        #expect(Units.size("50MB") == 52_428_800)
        #expect(Units.size("1GB") == 1_073_741_824)
        for text in ["50", "50mb", "50MiB", "9223372036854775807GB", "1TB"] { #expect(Units.size(text) == nil) }
    }

    @Test func `a network with host bits set is an error that shows what was probably meant`() {
        let said = problems("n: 192.0.2.7/24") { _ = $0.optional("n")?.network() }
        #expect(said == ["f.yaml:1:4: n: “192.0.2.7/24” has bits set beyond its prefix; did you mean 192.0.2.0/24?"])
    }

    @Test(arguments: [
        "a..b", "-a.example", "a-.example", "a_b.example", "exämple.org", "192.0.2.1", "a b", "",
        String(repeating: "a", count: 64) + ".example", String(repeating: "abc.", count: 64) + "example",
    ])
    func `what is no host name is refused`(name: String) {
        #expect(HostName.fault(in: name) != nil)
    }

    @Test(arguments: ["localhost", "out-17.vienna.relay.example", "3com.example", "xn--bcher-kva.example"])
    func `host names are accepted`(name: String) {
        #expect(HostName.fault(in: name) == nil)
    }

    @Test func `all problems of a file come at once`() {
        let said = problems("a: x\nb: 5\nc: 1") { section in
            _ = section.optional("a")?.int(0...9)
            _ = section.optional("b")?.bool()
        }
        #expect(said.count == 3)
    }

    @Test func `broken YAML is named with its line`() {
        #expect(problems("a: [1, 2\nb: 3\n") { _ in }.first?.hasPrefix("f.yaml:2:") == true)
        #expect(problems("a: *nowhere\n") { _ in }.first?.contains("undefined alias") == true)
        #expect(problems("---\na: 1\n---\nb: 2\n") { _ in }.first?.contains("another document") == true)
        #expect(problems("a\t: \u{1}\n") { _ in }.first?.hasPrefix("f.yaml:1") == true)
        #expect(problems("") { _ in } == ["f.yaml: is empty"])
        #expect(problems("- a\n") { _ in } == ["f.yaml:1:1: expected a mapping of keys to values, found a list"])
    }

    @Test func `what cannot be read as a file is an error and no crash`() throws {
        let folder = try TemporaryFolder()
        for (path, expected) in [
            ("\(folder.path)/none.yaml", "No such file"), (folder.path, "not a regular file"),
            ("/dev/zero", "not a regular file"),
        ] {
            let problems = Problems()
            #expect(YAMLFile.read(path, problems) == nil)
            #expect(problems.list.first?.description.contains(expected) == true)
        }
    }

    @Test func `mangled files are refused or read, and never crash`() throws {
        let good = """
            hostname: relay.example
            spool: /tmp/spool
            listeners: [{ address: 127.0.0.1, port: 2525, tls: none }]
            customers: { acme: { networks: [127.0.0.1/32, 2001:db8::/48] } }
            limits: { message_size: 50MB, command_timeout: 5m }
            delivery: { schedule: [5m, 10m], jitter: 0.2, allow: ["127.0.0.0/8:2526"], timeouts: { dot: 10m } }
            dns: { servers: ["127.0.0.1:5353"] }

            """
        #expect(try decodeNode(good).problems == [])
        let junk = Array("{}[]:,-&*!|>'\"%@`\n\t #?~0\u{0}\u{7F}é\u{202E}").map(String.init)
        var random = SplitMix(state: 42)
        for _ in 0..<1_000 {
            var text = Array(good)
            for _ in 0...Int.random(in: 0..<3, using: &random) {
                let at = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text.remove(at: at)
                case 1: text.insert(contentsOf: junk.randomElement(using: &random) ?? "", at: at)
                default: text.removeSubrange(at..<min(text.count, at + 20))
                }
            }
            let problems = Problems()
            let root = YAMLFile.parse(String(text), file: "mangled", problems)
            let node = NodeConfigurationFile.decode(root, folder: "/tmp/", problems)
            #expect((node == nil) == !problems.isEmpty)
        }
    }
}

/// A small generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

import DNS
import Foundation
import Mail
import Testing

/// libunbound against real and scripted servers on loopback.
@Suite struct UnboundResolverTests {
    private func resolver(
        _ port: UInt16, _ change: (inout UnboundResolver.Configuration) -> Void = { _ in }
    ) throws -> UnboundResolver {
        var configuration = UnboundResolver.Configuration()
        configuration.servers = ["127.0.0.1:\(port)"]
        change(&configuration)
        return try UnboundResolver(configuration)
    }

    private func resolve(_ resolver: UnboundResolver, _ domain: String) async -> Resolution {
        await withCheckedContinuation { continuation in
            resolver.resolve(domain) { continuation.resume(returning: $0) }
        }
    }

    /// One line for an answer; what cannot be known beforehand is left out.
    private func tell(_ resolution: Resolution) -> String {
        switch resolution {
        case .hosts(let hosts):
            hosts.hosts.map { host in
                "\(host.preference) \(host.name) \(host.addresses.map(\.description).sorted().joined(separator: " "))"
            }.joined(separator: "; ")
        case .never(.noSuchDomain): "no such domain"
        case .never(.nullMX): "null MX"
        case .never(.noUsableHost): "no usable host"
        case .later: "later"
        }
    }

    private static let zone = [
        "local-zone: \"example.\" static",
        "local-data: \"many.example. 60 IN MX 20 mx2.example.\"",
        "local-data: \"many.example. 60 IN MX 5 mx1.example.\"",
        "local-data: \"many.example. 60 IN MX 10 dead.example.\"",
        "local-data: \"many.example. 60 IN MX 30 alias.example.\"",
        "local-data: \"mx1.example. 60 IN A 192.0.2.1\"",
        "local-data: \"mx1.example. 60 IN AAAA 2001:db8::1\"",
        "local-data: \"mx2.example. 60 IN A 192.0.2.2\"",
        "local-data: \"mx2.example. 60 IN A 192.0.2.3\"",
        "local-data: \"alias.example. 60 IN CNAME mx2.example.\"",
        "local-data: \"implicit.example. 60 IN A 192.0.2.4\"",
        "local-data: \"six.example. 60 IN AAAA 2001:db8::6\"",
        "local-data: \"empty.example. 60 IN TXT \\\"no address\\\"\"",
        "local-data: \"null.example. 60 IN MX 0 .\"",
        "local-data: \"literal.example. 60 IN MX 10 192.0.2.1.\"",
        "local-data: \"self.example. 60 IN MX 10 localhost.\"",
        "local-data: \"gone.example. 60 IN MX 10 dead.example.\"",
        "local-data: \"www.example. 60 IN CNAME many2.example.\"",
        "local-data: \"many2.example. 60 IN CNAME single.example.\"",
        "local-data: \"single.example. 60 IN MX 10 mx1.example.\"",
        "local-data: \"loop1.example. 60 IN CNAME loop2.example.\"",
        "local-data: \"loop2.example. 60 IN CNAME loop1.example.\"",
        "local-data: \"tomissing.example. 60 IN CNAME missing.example.\"",
        "local-data: \"xn--bcher-kva.example. 60 IN MX 10 mx1.example.\"",
        "local-data: \"in.test. 60 IN MX 10 mx1.example.\"",
        "local-zone: \"refused.example.\" always_refuse",
        "local-data: \"half.example. 60 IN MX 10 mx.refused.example.\"",
        "local-data: \"half.example. 60 IN MX 20 mx2.example.\"",
        "local-data: \"stuck.example. 60 IN MX 10 mx.refused.example.\"",
        "local-data: \"stuck.example. 60 IN MX 20 dead.example.\"",
    ]

    @Test func `a client has the name that leads back to it`() async throws {
        let server = try RealNameServer([
            "local-zone: \"2.0.192.in-addr.arpa.\" static", "local-zone: \"example.\" static",
            "local-data: \"1.2.0.192.in-addr.arpa. 60 IN PTR mx1.example.\"",
            "local-data: \"2.2.0.192.in-addr.arpa. 60 IN PTR mx1.example.\"",
            "local-data: \"mx1.example. 60 IN A 192.0.2.1\"",
        ])
        defer { server.stop() }
        let resolver = try resolver(server.port)
        defer { resolver.close() }
        for (client, name) in [
            ("192.0.2.1", "mx1.example"), ("192.0.2.1", "mx1.example"), ("192.0.2.2", nil), ("192.0.2.3", nil),
            ("127.0.0.1", nil), ("::1", nil),
        ] {
            let client = try #require(IPAddress(client))
            let found = await withCheckedContinuation { continuation in
                resolver.name(of: client) { continuation.resume(returning: $0) }
            }
            #expect(found == name, "\(client)")
        }
        #expect(resolver.cachedDomains == 3)
    }

    @Test func `a real server's answers are read as RFC 5321 has it`() async throws {
        let server = try RealNameServer(Self.zone)
        defer { server.stop() }
        let resolver = try resolver(server.port)
        defer { resolver.close() }
        let mx1 = "mx1.example 192.0.2.1 2001:db8::1"
        let mx2 = "mx2.example 192.0.2.2 192.0.2.3"
        for (domain, answer) in [
            ("many.example", "5 \(mx1); 20 \(mx2); 30 alias.example 192.0.2.2 192.0.2.3"),
            ("implicit.example", "0 implicit.example 192.0.2.4"), ("six.example", "0 six.example 2001:db8::6"),
            ("empty.example", "no usable host"), ("null.example", "null MX"), ("literal.example", "no usable host"),
            ("self.example", "no usable host"), ("gone.example", "no usable host"), ("www.example", "10 \(mx1)"),
            ("loop1.example", "later"), ("tomissing.example", "no such domain"), ("missing.example", "no such domain"),
            ("refused.example", "later"), ("half.example", "20 \(mx2)"), ("stuck.example", "later"),
            ("bücher.example", "10 \(mx1)"), ("in.test", "10 \(mx1)"), ("a b.example", "no such domain"),
            ("[192.0.2.7]", "0 [192.0.2.7] 192.0.2.7"),
        ] {
            let told = tell(await resolve(resolver, domain))
            #expect(told == answer, "\(domain)")
            let again = try #require(resolver.cached(domain), "\(domain)")
            #expect(tell(again) == answer)
        }
    }

    @Test func `of three hundred MX the ten best are looked at`() async throws {
        var zone = ["local-zone: \"example.\" static"]
        for number in 0..<300 {
            zone.append("local-data: \"wide.example. 60 IN MX \(number) mx\(number).example.\"")
            zone.append("local-data: \"mx\(number).example. 60 IN A 192.0.2.\(number % 250)\"")
        }
        let server = try RealNameServer(zone)
        defer { server.stop() }
        let resolver = try resolver(server.port)
        defer { resolver.close() }
        guard case .hosts(let hosts) = await resolve(resolver, "wide.example") else {
            Issue.record("no hosts")
            return
        }
        // Of more than 256 records the rest is not read, so that those looked at need not be the very first ones.
        #expect(hosts.hosts.count == 10)
        #expect(hosts.hosts.map(\.preference) == hosts.hosts.map(\.preference).sorted())
    }

    @Test func `a server that never answers is given up in time`() async throws {
        let server = try ScriptedNameServer { _, _ in .nothing }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(1) }
        defer { resolver.close() }
        let start = ContinuousClock.now
        #expect(tell(await resolve(resolver, "example.com")) == "later")
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(tell(resolver.cached("example.com") ?? .never(.nullMX)) == "later")
    }

    @Test func `a host whose addresses never come is left out when time is up`() async throws {
        let server = try ScriptedNameServer { name, type in
            switch (name, type) {
            case ("example.com", 15):
                .records([[0, 10] + Self.wire("dead.example"), [0, 20] + Self.wire("mx.example")])
            case ("mx.example", 1): .records([[192, 0, 2, 1]])
            case ("mx.example", _): .code(0)
            default: .nothing
            }
        }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(2) }
        defer { resolver.close() }
        #expect(tell(await resolve(resolver, "example.com")) == "20 mx.example 192.0.2.1")
    }

    @Test(arguments: [2, 4, 5] as [UInt8])
    func `a server that fails makes it later`(code: UInt8) async throws {
        let server = try ScriptedNameServer { _, _ in .code(code) }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(5) }
        defer { resolver.close() }
        #expect(tell(await resolve(resolver, "example.com")) == "later")
    }

    @Test(
        arguments: [
            [0x81, 0x80, 0, 1, 255, 255, 0, 0, 0, 0], [0x81, 0x80], [UInt8](repeating: 255, count: 600), [],
        ] as [[UInt8]])
    func `nonsense on the wire makes it later`(bytes: [UInt8]) async throws {
        let server = try ScriptedNameServer { _, _ in .bytes(bytes) }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(1) }
        defer { resolver.close() }
        #expect(tell(await resolve(resolver, "example.com")) == "later")
    }

    @Test(arguments: [[0], [0, 10], [0, 10, 5, 97], [0, 10, 0xC0, 0xFF], [0, 10, 3, 97, 46, 98, 0]] as [[UInt8]])
    func `an MX that is none never becomes a host`(data: [UInt8]) async throws {
        let server = try ScriptedNameServer { _, type in type == 15 ? .records([data]) : .records([[192, 0, 2, 1]]) }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(1) }
        defer { resolver.close() }
        let told = tell(await resolve(resolver, "example.com"))
        #expect(told == "later" || told == "no usable host", "\(data)")
    }

    @Test func `a hundred who wait for one domain cost one lookup`() async throws {
        let server = try ScriptedNameServer { _, type in
            usleep(20_000)
            return type == 15 ? .code(0) : .records(type == 1 ? [[192, 0, 2, 1]] : [])
        }
        defer { server.stop() }
        let resolver = try resolver(server.port)
        defer { resolver.close() }
        let answers = await withTaskGroup(of: String.self) { group in
            for _ in 0..<100 { group.addTask { tell(await resolve(resolver, "example.com")) } }
            return await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(answers == ["0 example.com 192.0.2.1"])
        #expect(server.questions.count { $0 == "example.com 15" } == 1)
    }

    @Test func `lookups beyond the bound wait, beyond that they come later`() async throws {
        let server = try ScriptedNameServer { _, type in .records(type == 1 ? [[192, 0, 2, 1]] : []) }
        defer { server.stop() }
        let patient = try resolver(server.port) { $0.lookupsUnderWay = 1 }
        let hasty = try resolver(server.port) {
            $0.lookupsUnderWay = 1
            $0.lookupsWaiting = 0
        }
        defer {
            patient.close()
            hasty.close()
        }
        func ask(_ resolver: UnboundResolver) async -> [String] {
            await withTaskGroup(of: String.self) { group in
                for number in 0..<50 { group.addTask { tell(await resolve(resolver, "a\(number).example")) } }
                return await group.reduce(into: []) { $0.append($1) }
            }
        }
        #expect(await ask(patient).count { $0.hasSuffix("192.0.2.1") } == 50)
        let answers = await ask(hasty)
        #expect(answers.count == 50)
        #expect(answers.allSatisfy { $0 == "later" || $0.hasSuffix("192.0.2.1") })
    }

    @Test func `names that never get an answer do not hold up the others`() async throws {
        let server = try ScriptedNameServer { name, type in
            if name.hasPrefix("dead") { return .nothing }
            return type == 1 ? .records([[192, 0, 2, 1]]) : .code(0)
        }
        defer { server.stop() }
        let resolver = try resolver(server.port) { $0.timeout = .seconds(8) }
        defer { resolver.close() }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<100 {
                group.addTask { #expect(tell(await resolve(resolver, "dead\(number).example")) == "later") }
            }
            try? await Task.sleep(for: .seconds(1))
            for number in 0..<100 {
                group.addTask {
                    let told = tell(await resolve(resolver, "good\(number).example"))
                    #expect(told == "0 good\(number).example 192.0.2.1")
                }
            }
        }
    }

    @Test func `closing answers everyone who waits, and whoever comes after`() async throws {
        let server = try ScriptedNameServer { _, _ in .nothing }
        defer { server.stop() }
        let resolver = try resolver(server.port)
        async let waiting = resolve(resolver, "example.com")
        try await Task.sleep(for: .milliseconds(200))
        resolver.close()
        #expect(tell(await waiting) == "later")
        #expect(tell(await resolve(resolver, "example.org")) == "later")
    }

    @Test func `an unsigned answer under a trust anchor is bogus, and so comes later`() async throws {
        let anchor = FileManager.default.temporaryDirectory.appending(path: "figaro-anchor-\(UUID().uuidString)")
        try ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D\n"
            .write(to: anchor, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: anchor) }
        let server = try ScriptedNameServer { _, type in
            type == 15 ? .records([[0, 1] + Self.wire("mx.example")]) : .code(0)
        }
        defer { server.stop() }
        let resolver = try resolver(server.port) {
            $0.trustAnchor = anchor.path
            $0.timeout = .seconds(5)
        }
        defer { resolver.close() }
        #expect(tell(await resolve(resolver, "example.com")) == "later")
    }

    @Test func `what cannot work is said when it is made`() {
        func failure(_ change: (inout UnboundResolver.Configuration) -> Void) -> String {
            var configuration = UnboundResolver.Configuration()
            change(&configuration)
            do throws(UnboundResolver.SetupError) {
                try UnboundResolver(configuration).close()
                return "none"
            } catch {
                return error.description
            }
        }
        #expect(failure { $0.servers = ["dns.example"] } == "dns server \"dns.example\" is not address:port")
        #expect(failure { $0.trustAnchor = "/nowhere/anchor" } == "/nowhere/anchor: No such file or directory")
        #expect(
            failure {
                $0.recursive = true
                $0.rootHints = "/nowhere/hints"
            } == "/nowhere/hints: No such file or directory")
        #expect(failure { $0.trustAnchor = "/dev/null/x" } == "/dev/null/x: Not a directory")
    }

    private static func wire(_ name: String) -> [UInt8] {
        name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }
}

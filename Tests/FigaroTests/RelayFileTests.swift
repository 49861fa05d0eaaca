import Delivery
import Foundation
import Mail
import SMTP
import Testing

@testable import Figaro

/// `relays:` of an ip map, and the files with their passwords.
@Suite("Relays of a map")
struct RelayFileTests {
    private static func map(_ relay: String) -> String {
        """
        ranges: { v: { cidr: 192.0.2.0/31, ehlo: o.example } }
        relays:
          provider: { host: smtp.provider.example\(relay.isEmpty ? "" : ", " + relay) }
        routes: { default: { steps: [pool v/1, relay provider/24h] } }
        pools: { v: { members: [v] } }
        """
    }

    /// Reads a map beside a file with the password `secret`, which has that mode.
    private func read(
        _ relay: String, secret: [UInt8]? = Array("s3cret\r\nmore".utf8), mode: Int = 0o640
    ) throws -> (relay: IPMap.Relay?, problems: [String]) {
        let folder = try TemporaryFolder()
        try folder.write("a.yaml", Self.map(relay))
        if let secret {
            let path = folder.path + "/secret"
            try Data(secret).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        let problems = Problems()
        let map = IPMapFolder.load(folder.path, hostName: "relay.example", problems)
        return (
            map?.map.relays["provider"],
            problems.list.map { $0.description.replacing(folder.path + "/", with: "") }
        )
    }

    @Test func `have the first line of the file, and a port for each way of TLS`() throws {
        let login = "username: figaro, password_file: secret"
        for (tls, need, port) in [("required", TLSNeed.required, 587), ("implicit", .implicit, 465)] {
            let (relay, problems) = try read("tls: \(tls), \(login)")
            #expect(problems == [])
            #expect(relay?.tls == need && relay?.port == port)
            #expect(relay?.login == Login(username: "figaro", password: "s3cret"))
        }
        let (plain, _) = try read("tls: none, port: 25, after_volume: 4h, score_limit: 5.5", secret: nil)
        #expect(plain?.login == nil && plain?.port == 25 && plain?.afterVolume == .hours(4))
        #expect(plain?.scoreLimit == 5.5)
    }

    @Test func `with a limit of the score have a pool before them`() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "a.yaml", Self.map("score_limit: 5").replacing("[pool v/1, relay provider/24h]", with: "[relay provider]"))
        let problems = Problems()
        _ = IPMapFolder.load(folder.path, hostName: "relay.example", problems)
        #expect(problems.list.map(\.description).contains { $0.contains("needs a step with a pool before the relay") })
    }

    @Test(arguments: ["none", "opportunistic"])
    func `say no password without verified TLS`(tls: String) throws {
        let (relay, problems) = try read("tls: \(tls), username: figaro, password_file: secret")
        #expect(relay == nil)
        #expect(problems.count == 1 && problems[0].hasPrefix("a.yaml:3:"), "\(problems)")
        #expect(problems[0].contains("relays.provider.tls: a password goes over verified TLS only"))
    }

    @Test(
        arguments: [
            (nil, 0o640, "cannot be read: No such file or directory"), ([], 0o640, "in its first line"),
            ([10, 65], 0o640, "in its first line"), ([65, 0, 66], 0o640, "in its first line"),
            ([0xFF, 0xFE], 0o640, "in its first line"), ([UInt8](repeating: 65, count: 1_025), 0o640, "at most 1024"),
            ([65], 0o644, "can be read by everybody"), ([65], 0o642, "can be read by everybody"),
        ] as [([UInt8]?, Int, String)])
    func `with a password file that is of no use name file, line and key, and never what it holds`(
        secret: [UInt8]?, mode: Int, expected: String
    ) throws {
        let (relay, problems) = try read("username: figaro, password_file: secret", secret: secret, mode: mode)
        #expect(relay == nil)
        let problem = try #require(problems.first)
        #expect(problem.hasPrefix("a.yaml:3:") && problem.contains("relays.provider.password_file: "), "\(problem)")
        #expect(problem.contains(expected), "\(problem)")
        #expect(!problem.contains("AAAA"))
    }

    @Test func `with a password file that is a folder, or that this user may not read, name it`() throws {
        let (_, folder) = try read("username: figaro, password_file: .")
        #expect(folder.contains { $0.contains("is not a file") }, "\(folder)")
        // Root may read everything.
        guard getuid() != 0 else { return }
        let (_, locked) = try read("username: figaro, password_file: secret", mode: 0)
        #expect(locked.contains { $0.contains("cannot be read: Permission denied") }, "\(locked)")
    }

    @Test func `have a name and a password, or neither`() throws {
        for half in ["username: figaro", "password_file: secret"] {
            let (relay, problems) = try read(half)
            #expect(relay == nil && problems.contains { $0.contains("go together") }, "\(problems)")
        }
    }
}

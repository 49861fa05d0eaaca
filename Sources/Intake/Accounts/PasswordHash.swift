import Crypto
import CryptoExtras
import FoundationEssentials

/// A password as it is kept: what scrypt (RFC 7914) makes of it, in the form of the PHC strings,
/// `$scrypt$ln=14,r=8,p=1$salt$hash`.
package struct PasswordHash: Sendable, Hashable, CustomStringConvertible {
    /// What one hash costs.
    package struct Cost: Sendable, Hashable {
        /// Logarithm of the rounds, 1 to 20.
        package var rounds: Int
        /// 1 to 16. One hash takes 128 octets of memory for each block of each round.
        package var blocks: Int
        /// 1 to 16.
        package var lanes: Int

        package init(rounds: Int, blocks: Int = 8, lanes: Int = 1) {
            self.rounds = rounds
            self.blocks = blocks
            self.lanes = lanes
        }

        /// 16 MiB and some 40 ms. Passwords are made by us as a rule, of 120 bits that nobody guesses; people's own are
        /// slowed down for whoever has stolen the file.
        package static let usual = Cost(rounds: 14)

        /// A file that somebody edited must not make a login cost gigabytes.
        var isSensible: Bool {
            (1...20).contains(rounds) && (1...16).contains(blocks) && (1...16).contains(lanes)
                && blocks << rounds <= 1 << 20
        }
    }

    let cost: Cost
    private let salt: [UInt8]
    private let hash: [UInt8]

    private static let length = 32

    /// Takes tens of milliseconds.
    ///
    /// - Throws: what the library throws, which is short of memory then.
    package init(of password: String, cost: Cost = .usual) throws {
        var random = SystemRandomNumberGenerator()
        let salt = (0..<16).map { _ in UInt8.random(in: 0...255, using: &random) }
        self.cost = cost
        self.salt = salt
        hash = try Self.derive(password, salt, cost, Self.length)
    }

    /// nil when it is no such string, or one that nobody could afford to look at.
    package init?(_ text: String) {
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        guard parts.count == 5, parts[0].isEmpty, parts[1] == "scrypt", let cost = Self.cost(parts[2]), cost.isSensible,
            let salt = Self.octets(parts[3]), (8...64).contains(salt.count),
            let hash = Self.octets(parts[4]), (16...64).contains(hash.count)
        else { return nil }
        self.cost = cost
        self.salt = salt
        self.hash = hash
    }

    private static func cost(_ text: Substring) -> Cost? {
        let values = text.split(separator: ",", omittingEmptySubsequences: false)
        guard values.count == 3, values[0].hasPrefix("ln="), values[1].hasPrefix("r="), values[2].hasPrefix("p="),
            let rounds = Int(values[0].dropFirst(3)), let blocks = Int(values[1].dropFirst(2)),
            let lanes = Int(values[2].dropFirst(2))
        else { return nil }
        return Cost(rounds: rounds, blocks: blocks, lanes: lanes)
    }

    /// Base64 without its padding, as such strings have it.
    private static func octets(_ text: Substring) -> [UInt8]? {
        guard text.utf8.count <= 100 else { return nil }
        let padding = String(repeating: "=", count: (4 - text.utf8.count % 4) % 4)
        return Data(base64Encoded: text + padding).map(Array.init)
    }

    private static func text(_ octets: [UInt8]) -> Substring {
        Data(octets).base64EncodedString().prefix { $0 != "=" }
    }

    package var description: String {
        "$scrypt$ln=\(cost.rounds),r=\(cost.blocks),p=\(cost.lanes)$\(Self.text(salt))$\(Self.text(hash))"
    }

    /// Takes tens of milliseconds.
    func matches(_ password: String) throws -> Bool {
        Self.isSame(try Self.derive(password, salt, cost, hash.count), hash)
    }

    /// Takes the same time wherever they differ.
    static func isSame(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func derive(_ password: String, _ salt: [UInt8], _ cost: Cost, _ length: Int) throws -> [UInt8] {
        let key = try KDF.Scrypt.deriveKey(
            from: Array(password.utf8), salt: salt, outputByteCount: length, rounds: 1 << cost.rounds,
            blockSize: cost.blocks, parallelism: cost.lanes)
        return key.withUnsafeBytes { Array($0) }
    }
}

extension PasswordHash {
    /// Of no password at all, at the usual cost.
    static let decoy = PasswordHash(
        cost: .usual, salt: [UInt8](repeating: 0, count: 16), hash: [UInt8](repeating: 0, count: length))

    private init(cost: Cost, salt: [UInt8], hash: [UInt8]) {
        self.cost = cost
        self.salt = salt
        self.hash = hash
    }
}

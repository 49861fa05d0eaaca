/// What a client sends to prove who it is.
extension Login {
    /// Octets of a name and of a password each: more is no login but an attempt to keep us busy.
    private static let longest = 255

    /// A PLAIN message: whom to act as, who it is, password (RFC 4616 section 2).
    ///
    /// - Returns: nil when it is none, or somebody wants to act as somebody else.
    init?(plain response: LoginResponse) {
        let parts = response.octets.split(separator: 0, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty || parts[0] == parts[1] else { return nil }
        self.init(user: Array(parts[1]), secret: Array(parts[2]))
    }

    /// - Returns: nil when one of them is empty, too long or no text; controls stand in no name, and NUL in no
    ///   password.
    init?(user: [UInt8], secret: [UInt8]) {
        let lengths = 1...Self.longest
        guard lengths.contains(user.count), lengths.contains(secret.count), !secret.contains(0),
            user.allSatisfy({ $0 >= 32 && $0 != 127 }), let name = String(validating: user, as: UTF8.self),
            let password = String(validating: secret, as: UTF8.self)
        else { return nil }
        self.init(username: name, password: password)
    }
}

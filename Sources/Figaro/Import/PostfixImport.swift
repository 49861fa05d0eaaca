import Mail

/// What a Postfix knows of those who may send through it, as accounts of ours: one for its `mynetworks`, and one for
/// each user that logs in, with the senders that `smtpd_sender_login_maps` grants.
struct PostfixImport {
    /// One customer to be made.
    struct Plan: Hashable {
        var name: String
        var networks: [String] = []
        var senders: [String] = []
        /// Who logs in, and the password where it can be read.
        var user: String?
        var password: String?
    }

    /// Something that is not taken over.
    struct Remark: Hashable, CustomStringConvertible {
        var place: PostfixPlace
        var why: String

        var description: String { "\(place): \(why)" }
    }

    private(set) var remarks: [Remark] = []
    private var networks: [String] = []
    /// In the order of the file.
    private var users: [String] = []
    private var passwords: [String: String] = [:]
    private var senders: [String: [String]] = [:]
    private let read: (String) throws -> [PostfixLine]

    /// - Parameter read: the lines of a file.
    init(read: @escaping (String) throws -> [PostfixLine] = PostfixLine.read) {
        self.read = read
    }

    /// - Parameter customer: what the customer of `mynetworks` is called.
    func plans(customer: String) -> [Plan] {
        var plans: [Plan] = []
        if !networks.isEmpty { plans.append(Plan(name: customer, networks: networks)) }
        for user in users {
            plans.append(
                Plan(
                    name: Self.name(of: user), senders: senders[user] ?? [], user: user, password: passwords[user]))
        }
        return plans
    }

    /// An address is no name of an account.
    private static func name(of user: String) -> String {
        String(user.map { $0.isASCII && ($0.isLetter || $0.isNumber || ".-_".contains($0)) ? $0 : "-" }.prefix(64))
    }

    /// - Parameter path: of `main.cf`.
    /// - Throws: when it cannot be read.
    mutating func take(main path: String) throws {
        let parameters = PostfixParameters(try read(path))
        if let (text, place) = parameters.value("mynetworks") { takeNetworks(text, place) }
        if let (text, place) = parameters.value("smtpd_sender_login_maps") { takeLoginMaps(text, place) }
    }

    // MARK: mynetworks

    private mutating func takeNetworks(_ text: String, _ place: PostfixPlace) {
        for word in Self.words(text) {
            if let path = Self.path(word, types: ["cidr", "hash", "lmdb", "btree", "texthash", "dbm", "cdb"]) {
                each(path, from: place) { me, line in
                    me.takeNetwork(word.hasPrefix("/") ? line.text : line.pair.key, line.place)
                }
            } else {
                takeNetwork(word, place)
            }
        }
    }

    private mutating func takeNetwork(_ word: String, _ place: PostfixPlace) {
        if word.hasPrefix("!") { return note(place, "“\(word)” takes a network out; write the rest as networks") }
        // Postfix writes IPv6 in brackets.
        let text = word.filter { $0 != "[" && $0 != "]" }
        guard let network = IPNetwork(text) else { return note(place, "“\(word)” is no network") }
        guard network.prefix > 0 else { return note(place, "\(word) is everybody; that would be an open relay") }
        if network.base.description.hasPrefix("127.") || network.base.description == "::1" {
            return note(place, "\(word) is the machine itself, not a customer of this relay")
        }
        if !networks.contains(network.description) { networks.append(network.description) }
    }

    // MARK: smtpd_sender_login_maps

    private mutating func takeLoginMaps(_ text: String, _ place: PostfixPlace) {
        for word in Self.words(text) {
            guard let path = Self.path(word, types: ["hash", "lmdb", "btree", "texthash", "dbm", "cdb"]) else {
                note(place, "“\(word)” is no table that can be read here")
                continue
            }
            each(path, from: place) { me, line in
                let (key, value) = line.pair
                let sender = key.hasPrefix("@") ? String(key.dropFirst()) : key
                guard !sender.isEmpty, !value.isEmpty else { return me.note(line.place, "“\(line.text)” names nobody") }
                for user in Self.words(value) {
                    me.know(user)
                    me.senders[user, default: []].append(sender.lowercased())
                }
            }
        }
    }

    // MARK: passwords

    /// `user password`, `user:password`, or lines of a Dovecot passwd-file, whose further fields mean nothing here.
    ///
    /// - Throws: when the file cannot be read.
    mutating func take(passwords path: String) throws {
        for line in try read(path) {
            let (key, value) = line.pair
            let fields =
                key.contains(":")
                ? line.text.split(separator: ":", omittingEmptySubsequences: false).map(String.init) : [key]
            let user = fields[0]
            var password = fields.count > 1 ? fields[1] : value
            guard !user.isEmpty, AccountName.fault(inUser: user) == nil else {
                note(line.place, "no user")
                continue
            }
            know(user)
            if password.hasPrefix("{"), let end = password.firstIndex(of: "}") {
                let scheme = password[password.index(after: password.startIndex)..<end].uppercased()
                guard ["PLAIN", "CLEAR", "CLEARTEXT"].contains(scheme) else {
                    note(
                        line.place, "the password of \(user) is kept as \(scheme), from which no other form can be made"
                    )
                    continue
                }
                password = String(password[password.index(after: end)...])
            }
            guard (1...255).contains(password.utf8.count), !password.hasPrefix("$") else {
                note(line.place, "the password of \(user) is missing, or kept in a form that cannot be read")
                continue
            }
            passwords[user] = password
        }
    }

    private mutating func know(_ user: String) {
        if !users.contains(user) { users.append(user) }
    }

    // MARK: files

    private mutating func each(
        _ path: String, from place: PostfixPlace, _ body: (inout PostfixImport, PostfixLine) -> Void
    ) {
        do {
            for line in try read(path) { body(&self, line) }
        } catch {
            note(place, "\(path) cannot be read")
        }
    }

    private mutating func note(_ place: PostfixPlace, _ why: String) {
        remarks.append(Remark(place: place, why: why))
    }

    private static func words(_ text: String) -> [String] {
        text.split { $0.isWhitespace || $0 == "," }.map(String.init)
    }

    /// The text that a table is made of lies beside it, without `.db` or `.lmdb`.
    private static func path(_ word: String, types: [String]) -> String? {
        if word.hasPrefix("/") { return word }
        let parts = word.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, types.contains(parts[0]), parts[1].hasPrefix("/") else { return nil }
        return parts[1]
    }
}

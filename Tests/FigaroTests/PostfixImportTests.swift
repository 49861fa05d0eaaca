import Testing

@testable import Figaro

struct PostfixImportTests {
    private struct Missing: Error {}

    private func imported(_ files: [String: String], passwords: String? = nil) throws -> PostfixImport {
        var reader = PostfixImport { path in
            guard let text = files[path] else { throw Missing() }
            return PostfixLine.lines(of: text, file: path)
        }
        try reader.take(main: "/etc/postfix/main.cf")
        if let passwords { try reader.take(passwords: passwords) }
        return reader
    }

    @Test
    func `networks, users and their senders`() throws {
        let read = try imported(
            [
                "/etc/postfix/main.cf": """
                # a comment
                office = 192.0.2.0/25
                mynetworks = 127.0.0.0/8 [::1]/128 $office,
                    [2001:db8:1::]/48
                    cidr:/etc/postfix/nets, /etc/postfix/more
                smtpd_sender_login_maps = hash:/etc/postfix/logins
                """,
                "/etc/postfix/nets": "198.51.100.0/24 OK\n# no\n198.51.100.7/32  OK\n",
                "/etc/postfix/more": "203.0.113.9\n",
                "/etc/postfix/logins": "@shop.example  shop, both@shop.example\nnews@acme.example\tboth@shop.example\n",
                "/users": "shop s3cret\nboth@shop.example:{PLAIN}pass word:1000:1000::/home\nalone:alone's\n",
            ], passwords: "/users")
        #expect(
            read.plans(customer: "office") == [
                PostfixImport.Plan(
                    name: "office",
                    networks: [
                        "192.0.2.0/25", "2001:db8:1::/48", "198.51.100.0/24", "198.51.100.7/32", "203.0.113.9/32",
                    ]),
                PostfixImport.Plan(name: "shop", senders: ["shop.example"], user: "shop", password: "s3cret"),
                PostfixImport.Plan(
                    name: "both-shop.example", senders: ["shop.example", "news@acme.example"],
                    user: "both@shop.example", password: "pass word"),
                PostfixImport.Plan(name: "alone", user: "alone", password: "alone's"),
            ])
        #expect(read.remarks.map(\.place.description) == ["/etc/postfix/main.cf:3", "/etc/postfix/main.cf:3"])
    }

    @Test
    func `what cannot be taken over is named with its place`() throws {
        let read = try imported(
            [
                "/etc/postfix/main.cf": """
                mynetworks = 0.0.0.0/0 !192.0.2.1 example.com mysql:/etc/postfix/nets.cf
                smtpd_sender_login_maps = pcre:/etc/postfix/logins hash:/missing
                """,
                "/users": "a:{SHA512-CRYPT}$6$abc$def\nb $6$abc\nc\n\u{7}x y\n",
            ], passwords: "/users")
        #expect(
            read.remarks.map(\.description) == [
                "/etc/postfix/main.cf:1: 0.0.0.0/0 is everybody; that would be an open relay",
                "/etc/postfix/main.cf:1: “!192.0.2.1” takes a network out; write the rest as networks",
                "/etc/postfix/main.cf:1: “example.com” is no network",
                "/etc/postfix/main.cf:1: “mysql:/etc/postfix/nets.cf” is no network",
                "/etc/postfix/main.cf:2: “pcre:/etc/postfix/logins” is no table that can be read here",
                "/etc/postfix/main.cf:2: /missing cannot be read",
                "/users:1: the password of a is kept as SHA512-CRYPT, from which no other form can be made",
                "/users:2: the password of b is missing, or kept in a form that cannot be read",
                "/users:3: the password of c is missing, or kept in a form that cannot be read",
                "/users:4: no user",
            ])
        #expect(read.plans(customer: "office").map(\.name) == ["a", "b", "c"])
        #expect(read.plans(customer: "office").allSatisfy { $0.password == nil })
    }
}

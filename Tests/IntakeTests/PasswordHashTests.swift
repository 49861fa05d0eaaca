import Testing

@testable import Intake

struct PasswordHashTests {
    /// Of a cost that a debug build affords.
    static let cheap = PasswordHash.Cost(rounds: 4)

    @Test
    func `what was kept is known again, and nothing else`() throws {
        let hash = try PasswordHash(of: "s3cret", cost: Self.cheap)
        let kept = try #require(PasswordHash(hash.description))
        #expect(kept == hash)
        #expect(try kept.matches("s3cret"))
        #expect(try !kept.matches("s3cre"))
        #expect(try !kept.matches("S3cret"))
        #expect(hash.description.hasPrefix("$scrypt$ln=4,r=8,p=1$"))
        #expect(!hash.description.contains("s3cret"))
        #expect(try PasswordHash(of: "s3cret", cost: Self.cheap) != hash, "each has a salt of its own")
    }

    /// RFC 7914 section 12, the vector of our usual cost.
    @Test
    func `is scrypt as the RFC has it`() throws {
        let hash = try #require(
            PasswordHash(
                "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
                    + "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"))
        #expect(hash.cost == .usual)
        #expect(try hash.matches("pleaseletmein"))
    }

    @Test(arguments: [
        "", "$scrypt$", "$2y$10$abc", "$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=18,r=16,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=0,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=14,r=8$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=14,r=8,p=1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAA", "$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAA$AAAA",
        "$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAA$A!AAAAAAAAAAAAAAAAAAAAAA",
        "$scrypt$ln=14,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA$",
    ])
    func `what nobody should look at is no hash`(_ text: String) {
        #expect(PasswordHash(text) == nil)
    }
}

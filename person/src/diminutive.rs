//! Given names and what those who bear them are called, in English and Spanish.
//!
//! A modest table of our own making: forms of everyday use, each line a root and its other forms. A
//! form may stand in several lines (Alex is Alexander or Alexandra). Names outside the table have no
//! root, and lose nothing by it: their exact form is a key of its own.

/// Roots given for one name, at most.
pub const ROOTS_MAX: usize = 2;

/// The roots of a canonical given name: itself if it heads a line, and the heads of the lines that
/// hold it. At most [`ROOTS_MAX`], in the order of the table.
pub fn roots(name: &str) -> Vec<&'static str> {
    LINES
        .iter()
        .filter(|line| line.split(' ').any(|form| form == name))
        .filter_map(|line| line.split(' ').next())
        .take(ROOTS_MAX)
        .collect()
}

const LINES: &[&str] = &[
    "abigail abby abbie gail",
    "abraham abe bram",
    "adelaide addie adele della",
    "agnes aggie nessie ines",
    "albert al bert bertie alberto beto",
    "alexander alex alec sandy xander sasha alejandro ale jandro",
    "alexandra alex sandra sandy lexi alexa alejandra ale",
    "alfred alf alfie fred freddie alfredo fredo",
    "alice ally allie alicia licha",
    "amanda mandy",
    "andrew andy drew andrei andres",
    "ann anne anna annie nan nancy nanny ana anita hannah",
    "anthony tony antony antonio tono toni",
    "antonia toni tona",
    "archibald archie",
    "arthur art arty artie arturo",
    "augustus gus august augustine agustin",
    "barbara barb babs barbie",
    "bartholomew bart bartolome",
    "beatrice bea trixie beatriz betty",
    "benjamin ben benny benji benja",
    "bernard bernie barney bernardo nardo",
    "bridget bridie biddy brigid brigida",
    "caroline carrie carol carolyn lina carolina caro",
    "catherine kate katie kathy cathy cat kitty katherine kathleen kay catalina kathryn katharine",
    "charles charlie chuck chas carlos carlitos charley",
    "charlotte lottie charlie lotte carlota",
    "christina chris chrissy tina christine kristina cristina",
    "christopher chris kit topher cristobal kris",
    "clara clare claire clarita",
    "clarence clarrie",
    "concepcion concha conchita",
    "constance connie",
    "cornelius neil corny con",
    "cynthia cindy",
    "daniel dan danny dani",
    "david dave davy davey davie",
    "deborah deb debbie debra",
    "dolores lola loli lolita",
    "donald don donnie",
    "dorothy dot dottie dolly dora",
    "edgar ed eddie",
    "edmund ed eddie ned",
    "edward ed eddie ted teddy ned eduardo lalo edouard",
    "eleanor nell nellie ellie ella nora leonor elinor lenore",
    "elizabeth liz lizzie beth betty bess bessie betsy eliza libby lisa elsie isabel isabella isabelle lisbeth elisabeth",
    "emily em emmy emilia millie",
    "emma em emmy",
    "enrique quique kike",
    "ernest ernie ernesto neto",
    "eugene gene eugenio",
    "ezekiel zeke",
    "federico fede",
    "felicity flick fliss",
    "fernando nando fer",
    "florence flo florrie flossie",
    "frances fran fanny francie francesca francisca paquita sissy",
    "francis frank franky frankie fran francisco paco pancho pepe franc franz francois",
    "frederick fred freddie freddy federico fritz frederic",
    "gabriel gabe gabi",
    "george georgie geo jorge georges coco",
    "gerald gerry jerry gerardo",
    "gertrude gertie trudy",
    "gilbert gil bert gilberto beto",
    "gregory greg gregg gregorio goyo",
    "grace gracie graciela chela",
    "guadalupe lupe lupita",
    "guillermo memo guille",
    "gwendolyn gwen wendy",
    "harold harry hal",
    "harriet hattie hetty harry",
    "helen nell nellie ellen elena nelly helena lena",
    "henry harry hank hal enrique henri harrison",
    "herbert herb bert bertie heriberto",
    "hubert bert hugh",
    "hugh hughie huey hughes hugo",
    "ignacio nacho",
    "irene rena renie",
    "isaac ike zac",
    "isabel bell belle bella isabella chabela",
    "jacob jake jack jacobo",
    "james jim jimmy jamie jem jaime diego santiago",
    "jane janie janet jenny jean jeanne joan juana janey",
    "jeffrey jeff geoff geoffrey",
    "jennifer jen jenny jenni",
    "jeremiah jerry jeremy jem",
    "jerome jerry jeronimo",
    "jessica jess jessie",
    "jesus chuy chucho",
    "john jack johnny jon juan ian sean johnnie jean ivan johann evan hans",
    "jonathan jon jonny nathan",
    "joseph joe joey jose pepe jos josef giuseppe",
    "josephine jo josie josefina fina",
    "joshua josh",
    "judith judy jude",
    "julia julie jill juliana",
    "katrina trina kat",
    "kenneth ken kenny",
    "laura laurie lauren lori",
    "lawrence larry laurie lorenzo laurence lars",
    "leonard len lenny leo leonardo",
    "lewis lew lou louis luis louie",
    "louise lou lulu luisa louisa",
    "lucy lucia lucie lucille",
    "lucas luke luc",
    "magdalena magda lena maddy",
    "manuel manny manolo manu emmanuel",
    "margaret maggie meg peggy marge margie greta rita daisy margarita may margot madge marguerite gretta margareta",
    "mark marc marcus marco marcos",
    "martha marty mattie marta",
    "martin marty martyn",
    "mary molly polly may maria mae mamie marie minnie maura moira",
    "matilda tilly mattie tilda",
    "matthew matt matty mateo",
    "maurice morris mo mauricio",
    "maximilian max maximiliano",
    "mercedes meche merche",
    "michael mike mick mickey micky miguel mikey mitch michel",
    "mildred millie milly",
    "miriam mimi mitzi",
    "nathaniel nat nate nathan",
    "nicholas nick nicky nico nicolas klaus colin",
    "nicole nicky nikki",
    "norman norm",
    "oliver ollie noll oli",
    "pamela pam",
    "patricia pat patty patsy tricia trish paty",
    "patrick pat paddy patricio rick",
    "paul paulie pablo pauly",
    "peter pete pedro perico piers",
    "philip phil pip felipe phillip",
    "phyllis phyl",
    "priscilla prissy cilla",
    "rachel rae raquel",
    "rafael rafa raphael",
    "ramon moncho",
    "raymond ray raimundo",
    "rebecca becky becca beck",
    "reginald reg reggie",
    "richard rick dick ricky richie rich ricardo dickie",
    "robert bob bobby rob robbie bert roberto rupert robin beto",
    "roderick rod roddy rodrigo",
    "roger rodger hodge rogelio",
    "ronald ron ronnie",
    "rosa rose rosie rosita",
    "rosario charo chayo",
    "samantha sam sammy",
    "samuel sam sammy",
    "sarah sally sadie sara",
    "salvador chava",
    "sebastian seb bastian",
    "simon si simeon",
    "sophia sophie sofia",
    "stanley stan",
    "stephanie steph stevie",
    "stephen steve stevie steven esteban stefan",
    "susan sue susie suzy susanna susannah suzanne susana",
    "sylvester sly",
    "terence terry terrance",
    "teresa terry tess tessa theresa tere teresita",
    "theodore ted teddy theo teodoro",
    "thomas tom tommy tomas thom tam",
    "timothy tim timmy",
    "valentine val",
    "veronica ronnie vero",
    "victor vic",
    "victoria vicky vicki tori viky",
    "vincent vince vinny vicente chente",
    "virginia ginny ginger",
    "walter walt wally wat",
    "wilhelmina mina minnie willa",
    "william will bill billy willie liam wilhelm guillermo guillaume willy",
    "winifred winnie freda",
    "zachary zach zack",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diminutive_and_its_root_meet() {
        for (one, other) in
            [("tom", "thomas"), ("bill", "william"), ("pepe", "jose"), ("kate", "kathy"), ("paco", "francisco")]
        {
            assert!(roots(one).iter().any(|root| roots(other).contains(root)), "{one} {other}");
        }
    }

    #[test]
    fn a_name_outside_the_table_has_no_root() {
        assert!(roots("kynan").is_empty() && roots("").is_empty() && roots("a b").is_empty());
    }

    #[test]
    fn roots_are_bounded_and_the_table_is_canonical() {
        for line in LINES {
            for form in line.split(' ') {
                assert!(!form.is_empty() && form.bytes().all(|b| b.is_ascii_lowercase()), "{line}");
                assert!((1..=ROOTS_MAX).contains(&roots(form).len()));
            }
        }
    }
}

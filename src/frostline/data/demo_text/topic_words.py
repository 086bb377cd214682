"""The wording of the demo topics: who acts, what they do, and what is borrowed from the other topics to say it."""

WORDS = """
actor.science: the physics department | the observatory | a team of geneticists | the polar survey | a marine
  biologist | the space agency | the chemistry laboratory | a mathematician | the seismology institute | a young
  astronomer | a vaccine researcher | the botanical institute | a robotics group | the particle collider | a climate
  modeller | a Nobel laureate | the geology society | the brain-imaging unit | the natural history museum | a veteran
  zoologist
actor.money: the investment bank | the hedge fund | a pension fund | the stock exchange | the central bank | an
  insurer | the currency trader | the mortgage lender | the accountancy firm | a venture capitalist | the shipping
  tycoon | the private-equity group | the debt collector | the building society | the bond desk | a billionaire heir |
  the credit union | the audit partner | the retail chain | the property developer
actor.sport: the football club | the Olympic champion | the cricket captain | a retired boxer | the rugby league | the
  cycling team | the goalkeeper | the tennis federation | a marathon runner | the swimming coach | the referee | the
  basketball franchise | the ski jumper | the racing driver | the rowing eight | the hockey side | a teenage gymnast |
  the league leader | the golf tour | the stadium announcer
actor.food: the head chef | the bakery | a celebrated restaurateur | the cheesemaker | the vineyard | the noodle stall
  | the pastry cook | a third-generation fishmonger | the brewery | the cookery school | an olive grower | the
  sommelier | the street-food market | the sandwich chain | the coffee roaster | a young butcher | the tasting panel |
  the ice-cream maker | the canteen | the tea house
actor.politics: the prime minister | the opposition | a backbench rebel | the city council | the foreign secretary |
  the electoral commission | the senate committee | the mayor | the ruling party | a former ambassador | the governor
  | the chief whip | the justice ministry | a young senator | the regional assembly | the president's adviser | the
  independence movement | the speaker of the house | the party treasurer | the border ministry
act.science: publishes a study of how bats navigate | measures a faint signal from a distant star | maps the genome of
  a rare moss | finds water under the ice of a small moon | tests a theory of why glaciers sing | sequences an ancient
  virus | discovers a new kind of beetle | tracks the migration of eels | repeats a famous experiment and fails |
  recalculates the age of a fossil | grows nerve cells in a dish | records the tremors of a sleeping volcano | models
  the spread of a fever | explains why knots hold | builds a clock that loses a second in an aeon | releases data on
  coral bleaching | teaches a machine to fold proteins | photographs a black hole's shadow | solves a puzzle about
  prime numbers | describes how memory fades with age | traces a disease to one mutation | samples the dust of a comet
  | doubts the evidence for dark matter | counts the neurons of a fruit fly | proposes a cheaper way to split water |
  revises a model of ocean currents
act.money: posts a heavy quarterly loss | refinances its debts | sells a third of its shares | misses an interest
  payment | announces a rights issue | writes down the value of its warehouses | pays a record dividend | files for
  bankruptcy | raises fees for small savers | floats on the exchange at a discount | hides losses offshore | cuts its
  profit forecast | settles an unpaid tax bill | buys a rival for cash | moves its savings into gold | borrows against
  future revenue | shrugs off higher interest rates | restates three years of earnings | defaults on a loan | hires a
  new auditor | sees its credit rating cut | hedges against a weaker currency | closes its loss-making branches |
  renegotiates a lease | doubles its turnover in a year | owes suppliers several million
act.sport: wins the final on penalties | loses its unbeaten record | sets a personal best over ten miles | limps off
  with a torn hamstring | holds on for a goalless draw | trains at altitude for the relay | drops to the second
  division | scores twice in stoppage time | fails a doping test | qualifies for the world championships | lifts the
  trophy in the rain | is beaten in straight sets | misses the cut by one stroke | breaks a lap record in practice |
  names an unchanged line-up | throws away a two-goal lead | comes from behind to take the derby | is sent off before
  half-time | takes silver in the doubles | rides the last stage alone | retires after a third knockout | wins by an
  innings | returns to the track after injury | appeals against a ten-match ban | clears two metres at the first
  attempt | sweeps the medals in the pool
act.food: perfects a recipe for plum dumplings | opens a kitchen in a disused chapel | puts nettle soup on the menu |
  bakes rye loaves before dawn | roasts a goose with quinces | revives a forgotten cheese | pairs oysters with stout |
  swaps butter for lard in the pastry | serves lunch on rooftops | ferments cabbage in clay jars | salts the cod for
  three days | wins praise for a humble omelette | bottles a sharp young cider | cooks over vine cuttings | grinds its
  own spices | drops foie gras after complaints | gives away leftover bread | brings back the Sunday roast | smokes
  trout over applewood | teaches children to make gnocchi | earns a second star | stews lamb with apricots |
  simplifies the wedding cake | plants a herb garden by the stove | whisks up a fiery mustard | queues for the first
  asparagus
act.politics: calls a snap election | survives a vote of confidence | tables an amendment to the constitution |
  resigns over a leaked memo | loses a referendum | recalls an envoy in protest | forms a shaky coalition | blocks a
  bill at third reading | redraws the electoral map | signs a treaty with a neighbour | campaigns for votes at sixteen
  | accuses ministers of lying | repeals an unpopular law | wins a by-election by nine votes | purges moderates |
  lobbies for a border crossing | vetoes a planning reform | defends the asylum policy | walks out of parliament |
  endorses a rival candidate | demands a public inquiry | stands for office in the autumn | faces questions about a
  donor | negotiates a ceasefire | promises devolution for the islands | splits over the leadership contest
noun.science: a telescope | gene editing | an ice core | quantum theory | the lab mice | a new microscope | the fossil
  record | a petri dish | the moon landing | gravity | clinical trials | the satellite
noun.money: the balance sheet | a tax return | the share price | bond yields | a savings account | inflation |
  overdrafts | the auditors | venture capital | the mortgage market | a takeover bid | the exchange rate
noun.sport: the transfer window | extra time | a gold medal | the dressing room | the league table | a relegation
  battle | the starting grid | a hat-trick | the home crowd | pre-season training | the offside rule | the finishing
  line
noun.food: the tasting menu | sourdough | a mushroom risotto | the wine cellar | the lunch queue | olive oil | a
  salted caramel | the spice rack | the fish counter | a pot of jam | the dinner service | barbecue sauce
noun.politics: the ballot box | a cabinet reshuffle | the manifesto | the opinion polls | the upper house | a state
  visit | the party conference | a filibuster | the campaign trail | foreign policy | the constituency | a whipped
  vote
borrowed.science: the theory takes a knockout punch from new data | a recipe for life is found in a meteorite | rival
  particles race neck and neck in the tunnel | cells vote with their feet on an acid gradient | the universe has been
  overspending its energy budget | proteins shop around for a partner | bacteria hold an election before they swarm |
  a diet of starlight feeds the growing galaxy | an asteroid scores a direct hit on an old hypothesis | the genome
  turns out to be mostly in debt to viruses | ants run their nest like a trading floor | a champagne bubble explains
  how foam collapses
borrowed.money: shares sprint ahead and stumble at the line | investors lose their appetite for steel | the bank kicks
  off the year with an own goal | traders vote no confidence in the dollar | bonds cook slowly while rates simmer |
  savers are left with crumbs | regulators blow the whistle on cheap credit | a toxic formula for mortgages comes
  apart | boardroom coup topples the founder of the insurer | gold passes the stress test of a gloomy market | the
  tycoon's sugar business turns sour for creditors | markets defy gravity for a sixth session
borrowed.sport: the striker pays the price for a cheap foul | the champions serve up a feast of goals | the captain
  wins the vote of the crowd with a century | a bargain signing returns a handsome profit of tries | the coach's
  chemistry is right at last on the pitch | veterans stage a coup on centre court | the keeper's stock falls after two
  fumbles | the underdogs eat the leaders alive after the break | the sprinter's formula proves explosive | a
  diplomatic captain calms the melee before half-time | the home side banks three points | lawless derby ends with
  nine men each
borrowed.food: the chef's stock rises as diners queue | a coalition of herbs rescues the humble lentil | chilli beats
  chocolate in the sauce of the season | the perfect boiled egg is an experiment in patience | butter makes a comeback
  in the second half of the menu | critics vote for the plainest pie | rich returns from a cheap cut of pork | the
  chemistry of a good crust | a heavyweight pudding goes the distance | vinegar runs for high office in the larder |
  the bottom line on stock is simmer, never boil | a gold medal loaf, dark and sour
borrowed.politics: the minister scores an own goal in the chamber | voters lose their taste for the governing party |
  half-baked reform is sent back to the kitchen | the candidate sprints for the last undecided districts | the premier
  spends the last of his political capital | a toxic reaction to the budget speech in the house | the treaty is on the
  menu at the summit | rebels smell blood before the leadership count | the senator's gamble on turnout pays no
  dividend | the two parties test a new formula for power | heavyweight debate ends without a knockout | spin doctors
  dissect a narrow defeat
clause.science: {=actor} {=act} | {=actor} {=act} | {!actor} {=act} | {=borrowed}
clause.money: {=actor} {=act} | {=actor} {=act} | {!actor} {=act} | {=borrowed}
clause.sport: {=actor} {=act} | {=actor} {=act} | {!actor} {=act} | {=borrowed}
clause.food: {=actor} {=act} | {=actor} {=act} | {!actor} {=act} | {=borrowed}
clause.politics: {=actor} {=act} | {=actor} {=act} | {!actor} {=act} | {=borrowed}
when: days after | hours before | a year after | in the same week that | weeks before | soon after
weekday: Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday
source: a spokeswoman | people familiar with the matter | a long report | witnesses | a former employee | two letters
  seen by this paper | an official note | the local radio | a statement | insiders
link: while | although | even as | now that | long before | whether or not | just as
colour: the announcement came late on {weekday} | nobody would comment on {weekday} | the news surprised few |
  reporters were kept waiting in the rain | it is the third such story this year | reactions were mixed | a fuller
  account is promised by {weekday} | the mood was sombre | there was some applause | neighbours spoke of little else |
  the building was closed for the day | details remain scarce | the photographs show a crowded hall | the figures have
  been disputed | an apology followed within the hour | the rest of the week was quiet
"""
